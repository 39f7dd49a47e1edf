"""Opening, closing and recovering partitions against a real Kafka."""

import asyncio
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition

from streams.transport.app import EngineApp
from streams.transport.errors import StepLost, TopicMismatch
from streams.transport.owned import OwnedPartition
from streams.transport.step import Step
from tests.integration.streams.conftest import PARTITIONS, Cluster, count, running, until


def counting_app(cluster: Cluster, **options: Any) -> EngineApp:
    """Counts records per key in table `t` and answers with the count."""
    app = cluster.app(**options)
    table = app.Table("t", changelog=cluster.topic("log"))

    async def work(stream: Any) -> None:
        async for chunk in stream:
            for record in chunk.records:
                number = int(table.get(record.key(), b"0") or b"0") + 1
                table[record.key()] = b"%d" % number
                chunk.send(cluster.topic("out"), b"%d" % number, record.key(), record.partition())

    app.agent(app.chunks(cluster.topic("in")), name="work")(work)
    return app


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_a_table_is_there_before_the_first_record(cluster: Cluster, store: str) -> None:
    cluster.create("in", "out", "log")
    cluster.produce("in", b"x", b"x", b"x")
    first = counting_app(cluster, store=store)
    async with running(first):
        await until(lambda: count(first, "records") == 3)
    events: list[object] = []
    second = counting_app(cluster, store=store)

    async def opened(owned: OwnedPartition) -> None:
        events.append((owned.partition, second.engine_tables["t"].partition(owned.partition).get(b"k")))

    second.on_open(opened)
    cluster.produce("in", b"x")
    async with running(second):
        await until(lambda: count(second, "records") == 1)
    assert sorted(events, key=str) == [(0, b"3"), (1, None)]
    assert cluster.values("out") == [b"1", b"2", b"3", b"4"]


async def test_rocksdb_reads_only_the_rest_of_its_changelog(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.create("in", "out", "log")
    cluster.produce("in", *[b"x"] * 500)
    first = counting_app(cluster, store="rocksdb", chunk_records=5)
    async with running(first):
        await until(lambda: count(first, "records") == 500)
    caplog.clear()
    caplog.set_level("INFO")
    second = counting_app(cluster, store="rocksdb")
    async with running(second):
        assert second.engine_tables["t"].partition(0).get(b"k") == b"500"
    assert ": 0 changelog records" in caplog.text


async def test_a_store_without_its_files_is_read_from_the_changelog(cluster: Cluster) -> None:
    cluster.create("in", "out", "log")
    cluster.produce("in", b"x", b"x")
    first = counting_app(cluster, store="rocksdb")
    async with running(first):
        await until(lambda: count(first, "records") == 2)
    other_machine = counting_app(cluster, store="rocksdb", instance="b")
    async with running(other_machine):
        assert other_machine.engine_tables["t"].partition(0).get(b"k") == b"2"


async def test_on_close_comes_before_the_last_commit_and_tasks_end_after_it(cluster: Cluster) -> None:
    cluster.create("in", "out", "log")
    app, events = counting_app(cluster), []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            events.append("cancelled")

    async def opened(owned: OwnedPartition) -> None:
        if owned.partition == 0:
            owned.spawn(forever())

    async def closed(owned: OwnedPartition, lost: bool) -> None:
        if owned.partition == 0:
            with app.step(0) as step:
                step.send(cluster.topic("out"), b"last words")
            events.append(f"closed lost={lost}")

    app.on_open(opened)
    app.on_close(closed)
    async with running(app):
        pass
    assert events == ["closed lost=False", "cancelled"]
    assert cluster.values("out") == [b"last words"]
    assert not app.owned


async def test_a_second_process_takes_over_half_and_gives_it_back(cluster: Cluster) -> None:
    cluster.create("in", "out", "log")
    first, second = counting_app(cluster), counting_app(cluster, instance="b")
    async with running(first):
        cluster.produce("in", b"x")
        cluster.produce("in", b"y", partition=1, key=b"l")
        await until(lambda: count(first, "records") == 2)
        async with running(second, opened=1):
            await until(lambda: len(first.owned) == 1)
            assert set(first.owned) | set(second.owned) == {0, 1}
            cluster.produce("in", b"x")
            cluster.produce("in", b"y", partition=1, key=b"l")
            await until(lambda: count(first, "records") + count(second, "records") == 4)
        await until(lambda: len(first.owned) == PARTITIONS)
        cluster.produce("in", b"x")
        cluster.produce("in", b"y", partition=1, key=b"l")
        await until(lambda: count(first, "records") + count(second, "records") == 6)
    assert sorted(value for value in cluster.values("out") if value) == [b"1", b"1", b"2", b"2", b"3", b"3"]


async def test_a_fenced_producer_drops_its_state_and_starts_from_the_broker(cluster: Cluster) -> None:
    cluster.create("in", "out", "log")
    app, losses = counting_app(cluster), []

    async def closed(owned: OwnedPartition, lost: bool) -> None:
        losses.append(lost)

    app.on_close(closed)
    async with running(app):
        cluster.produce("in", b"x")
        await until(lambda: count(app, "records") == 1)
        thief = Producer({"bootstrap.servers": cluster.bootstrap, "transactional.id": f"{cluster.run}-a"})
        await asyncio.to_thread(thief.init_transactions, 60)
        step = app.step(0)
        step.complete()
        with pytest.raises(StepLost):
            await step.committed()
        await until(lambda: losses == [True, True])
        await until(lambda: len(app.owned) == PARTITIONS)
        cluster.produce("in", b"x")
        await until(lambda: count(app, "records") == 2)
        assert count(app, "fatals") == 1
    assert cluster.values("out") == [b"1", b"2"]


async def test_offsets_deleted_before_they_were_read_are_counted_as_lost(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.create("in", "out", "log")
    cluster.produce("in", b"x", b"x")
    first = counting_app(cluster)
    async with running(first):
        await until(lambda: count(first, "records") == 2)
    cluster.produce("in", *[b"y"] * 5)
    deleted = cluster.admin.delete_records([TopicPartition(cluster.topic("in"), 0, 6)])
    for done in deleted.values():
        done.result()
    second = counting_app(cluster)
    async with running(second):
        await until(lambda: count(second, "records") == 1)
        assert count(second, "lost_offsets") == 4
    assert "LOSS: 4 records" in caplog.text


async def test_a_group_that_the_broker_forgot_goes_on_from_the_changelog(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.create("in", "out", "log")
    cluster.produce("in", b"x", b"x", b"x")
    first = counting_app(cluster)
    async with running(first):
        await until(lambda: count(first, "records") == 3)
    for forgotten in cluster.admin.delete_consumer_groups([cluster.run]).values():
        forgotten.result()
    second = counting_app(cluster)
    cluster.produce("in", b"x")
    async with running(second):
        await until(lambda: count(second, "records") == 1)
        assert count(second, "offsets_went_back") == 1
    assert "went back" in caplog.text
    assert cluster.values("out") == [b"1", b"2", b"3", b"4"]


async def test_a_missing_or_misshapen_topic_stops_the_start_and_is_named(cluster: Cluster) -> None:
    cluster.create("in", "out")
    cluster.create("log", partitions=PARTITIONS + 1)
    app = counting_app(cluster)
    app.Table("u", changelog=cluster.topic("nowhere"))
    with pytest.raises(TopicMismatch) as failure:
        await app.start()
    text = str(failure.value)
    assert f"{cluster.topic('log')} (changelog of table t) has 3 partitions instead of 2" in text
    assert f"{cluster.topic('nowhere')} (changelog of table u) does not exist" in text
    assert cluster.topic("in") not in text


async def test_records_on_their_way_to_a_full_window_wait(cluster: Cluster) -> None:
    cluster.create("in")
    app = cluster.app(window=200, chunk_records=50)
    steps: list[Step] = []

    async def work(stream: Any) -> None:
        async for chunk in stream:
            steps.extend(step for _, step in chunk.split())

    app.agent(app.chunks(cluster.topic("in")), name="work")(work)
    async with running(app):
        cluster.produce("in", *[b"x"] * 2_000)
        await until(lambda: app.metrics.registry.get_sample_value("tierflow_engine_paused_partitions") == 1)
        assert len(steps) <= 200
        done = 0
        while done < 2_000:
            await until(lambda: len(steps) > done)  # noqa: B023
            for step in steps[done:]:
                step.complete()
                done += 1
        await until(lambda: count(app, "records") == 2_000)


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_topics_that_were_made_anew_begin_with_an_empty_table(cluster: Cluster, store: str) -> None:
    cluster.create("in", "out", "log")
    cluster.produce("in", b"x", b"x", b"x")
    first = counting_app(cluster, store=store)
    async with running(first):
        await until(lambda: count(first, "records") == 3)
    await asyncio.to_thread(cluster.create_anew, "in", "log")
    # As long as before: by offsets alone the old store would fit.
    cluster.produce("in", *[b"x"] * 4)
    cluster.produce("log", *[b"7"] * 9, key=b"other")
    second = counting_app(cluster, store=store)
    async with running(second):
        await until(lambda: count(second, "records") == 4)
        assert second.engine_tables["t"].partition(0).get(b"other") == b"7"
    assert cluster.values("out") == [b"1", b"2", b"3", b"1", b"2", b"3", b"4"]


async def test_a_source_that_was_made_anew_is_read_from_its_start(cluster: Cluster) -> None:
    cluster.create("in", "out", "log")
    cluster.produce("in", b"x", b"x", b"x")
    first = counting_app(cluster)
    async with running(first):
        await until(lambda: count(first, "records") == 3)
    await asyncio.to_thread(cluster.create_anew, "in")
    cluster.produce("in", b"x", b"x")
    second = counting_app(cluster)
    async with running(second):
        await until(lambda: count(second, "records") == 2)
    assert cluster.values("out") == [b"1", b"2", b"3", b"4", b"5"]
    assert count(second, "lost_offsets") == 0
