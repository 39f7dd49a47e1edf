"""A record that a broker refused is not committed as written, although librdkafka says that it is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import KafkaException

from streams.transport.producer import Producer
from tests.integration.streams.conftest import Cluster, count, running, until
from tests.refusal import RefusesFirst

# Two of them are two batches.
LARGE = 600_000


async def carried_out(
    cluster: Cluster, app: Any, broker: RefusesFirst, act: Callable[[Any, bytes], Any]
) -> None:
    """Two records are acted on; the first transaction meets the refusal."""

    async def work(stream: Any) -> None:
        async for chunk in stream:
            for record in chunk.records:
                act(chunk, record.value())

    app.agent(app.chunks(cluster.topic("in")), name="work")(work)
    cluster.produce("in", b"1", b"2")
    async with running(app):
        await until(lambda: count(app, "records") == 2)
        assert broker.has_refused
        assert count(app, "aborts") == 1


async def test_a_transaction_whose_first_batch_was_refused_is_made_again(cluster: Cluster) -> None:
    cluster.create("in", "out")
    out = cluster.topic("out")
    with RefusesFirst(cluster.bootstrap, out) as broker:
        app = replace(cluster, bootstrap=broker.bootstrap).app()
        await carried_out(cluster, app, broker, lambda chunk, value: chunk.send(out, value * LARGE, b"k", 0))
    assert [value[:1] for value in cluster.values("out") if value] == [b"1", b"2"]


async def test_a_refused_table_entry_is_made_again(cluster: Cluster) -> None:
    cluster.create("in", "log")
    with RefusesFirst(cluster.bootstrap, cluster.topic("log")) as broker:
        app = replace(cluster, bootstrap=broker.bootstrap).app()
        table = app.Table("t", changelog=cluster.topic("log"))
        await carried_out(cluster, app, broker, lambda _, value: table.__setitem__(value, value * LARGE))
    assert {record.key() for record in cluster.read("log")} >= {b"1", b"2"}


async def test_whoever_sends_outside_of_steps_hears_of_it(cluster: Cluster) -> None:
    cluster.create("out")
    topic = cluster.topic("out")
    with RefusesFirst(cluster.bootstrap, topic) as broker:
        app = replace(cluster, bootstrap=broker.bootstrap).app()
        producer = Producer(app.transport)
        await producer.start()
        first = await producer.send(topic, b"k", b"1", 0, None, None)
        await until(broker.held.is_set)
        await producer.send_and_wait(topic, b"k", b"2", 0, None, None)
        with pytest.raises(KafkaException, match="nothing is known"):
            await first
        await producer.stop()
    assert cluster.values("out") == [b"2"]
