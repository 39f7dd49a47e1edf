"""What the gateway says of a record that a broker refused, although librdkafka says that it is written."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.kafka.producer import Outgoing, Producer
from schemas.errors import UnavailableError
from streams.settings import KafkaSettings
from tests.refusal import RefusesFirst
from tests.topics import await_known

# Two of them are two batches, and do not become smaller.
LARGE = 600_000


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    name = f"refused-{secrets.token_hex(4)}"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    for created in admin.create_topics([NewTopic(name, 1, 1)]).values():
        created.result()
    await_known(admin, [name])
    return name


@pytest.fixture
async def broker(kafka_bootstrap: str, topic: str) -> AsyncIterator[RefusesFirst]:
    with RefusesFirst(kafka_bootstrap, topic) as proxy:
        yield proxy


@pytest.fixture
async def producer(broker: RefusesFirst) -> AsyncIterator[Producer]:
    made = Producer(
        KafkaSettings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap}), secrets.token_hex(4)
    )
    made.start()
    yield made
    await made.close()


def committed(bootstrap: str, topic: str) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "isolation.level": "read_committed"}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = [message.value() for message in consumer.consume(4, 3) if message.error() is None]
    consumer.close()
    return [value[:1] for value in found if value is not None]


async def test_a_record_that_was_refused_is_not_accepted(
    kafka_bootstrap: str, topic: str, broker: RefusesFirst, producer: Producer
) -> None:
    first = asyncio.create_task(producer.send(topic, b"k", b"1"))
    assert await asyncio.to_thread(broker.held.wait, 30)
    await producer.send(topic, b"k", b"2")
    with pytest.raises(UnavailableError, match="nothing is known"):
        await first
    await producer.send(topic, b"k", b"1")
    assert committed(kafka_bootstrap, topic) == [b"2", b"1"]


async def test_a_batch_one_record_of_which_was_refused_is_none(
    kafka_bootstrap: str, topic: str, broker: RefusesFirst, producer: Producer
) -> None:
    batch = [Outgoing(topic, b"k", number + os.urandom(LARGE)) for number in (b"1", b"2")]
    with pytest.raises(UnavailableError, match="nothing is known"):
        await producer.send_all(batch)
    assert broker.has_refused
    await producer.send_all(batch)
    assert committed(kafka_bootstrap, topic) == [b"1", b"2"]
