"""Steps, agents and sends against a real Kafka."""

import asyncio
from typing import Any

import pytest

from streams.transport.errors import UnknownTopic
from streams.transport.step import Step
from tests.integration.streams.conftest import Cluster, count, running, until


async def test_outputs_table_and_offset_of_a_chunk_appear_together(cluster: Cluster) -> None:
    cluster.create("in", "out", "log")
    app = cluster.app()
    table = app.Table("t", changelog=cluster.topic("log"))

    async def work(stream: Any) -> None:
        async for chunk in stream:
            for record in chunk.records:
                table[record.value()] = b""
                chunk.send(cluster.topic("out"), record.value(), record.key(), 1, [("h", b"x")])

    app.agent(app.chunks(cluster.topic("in")), name="work")(work)
    async with running(app):
        cluster.produce("in", b"a", b"b")
        await until(lambda: count(app, "records") == 2)
        assert table.partition(0).get(b"a") == b""
        assert cluster.committed("in").offset == 2
    (first, _) = cluster.read("out")
    assert (first.value(), first.key(), first.partition(), first.headers()) == (b"a", b"k", 1, [("h", b"x")])
    assert {(record.key(), record.value()) for record in cluster.read("log")} >= {(b"a", b""), (b"b", b"")}


async def test_records_complete_in_any_order_and_only_the_open_one_comes_again(cluster: Cluster) -> None:
    cluster.create("in", "out")
    seen: list[bytes] = []

    def new_app(finish: set[bytes]) -> Any:
        app = cluster.app()

        async def work(stream: Any) -> None:
            async for chunk in stream:
                for record, step in chunk.split():
                    seen.append(record.value())
                    if record.value() in finish:
                        with step:
                            step.send(cluster.topic("out"), record.value())

        app.agent(app.chunks(cluster.topic("in")), name="work")(work)
        return app

    app = new_app({b"2", b"4", b"5"})
    cluster.produce("in", b"1", b"2", b"3", b"4", b"5")
    async with running(app):
        await until(lambda: count(app, "records") == 3)
    committed = cluster.committed("in")
    assert (committed.offset, bool(committed.metadata)) == (0, True)
    seen.clear()
    app = new_app({b"1", b"3"})
    async with running(app):
        await until(lambda: count(app, "records") == 2)
    assert seen == [b"1", b"3"]
    assert sorted(value for value in cluster.values("out") if value) == [b"1", b"2", b"3", b"4", b"5"]
    assert cluster.committed("in").offset == 5


async def test_committed_returns_once_the_offset_is_committed(cluster: Cluster) -> None:
    cluster.create("in", "out")
    app = cluster.app()
    offsets: list[int] = []

    async def one(step: Step) -> None:
        step.send(cluster.topic("out"), b"v")
        step.complete()
        await step.committed()
        offsets.append((await asyncio.to_thread(cluster.committed, "in")).offset)

    async def work(stream: Any) -> None:
        async for chunk in stream:
            for _, step in chunk.split():
                chunk.owned.spawn(one(step))

    app.agent(app.chunks(cluster.topic("in")), name="work")(work)
    async with running(app):
        cluster.produce("in", b"a")
        await until(lambda: offsets)
    assert offsets == [1]


async def test_a_plain_agent_that_raises_is_not_acknowledged(cluster: Cluster) -> None:
    cluster.create("in", "out")
    failing = True
    seen: list[bytes] = []

    def new_app() -> Any:
        app = cluster.app()
        target = app.topic(cluster.topic("out"), value_serializer="raw")

        async def work(stream: Any) -> None:
            async for value in stream:
                seen.append(value)
                await target.send(value=value)
                if failing and value == b"bad":
                    raise ValueError("the handler failed")

        source = app.topic(cluster.topic("in"), value_type=bytes, value_serializer="raw")
        app.agent(source, name="work")(work)
        return app

    cluster.produce("in", b"first", b"bad", b"after")
    app = new_app()
    async with running(app):
        await until(lambda: count(app, "records") == 2)
        await until(lambda: count(app, "failed_steps") == 1)
    assert sorted(value for value in cluster.values("out") if value) == [b"after", b"first"]
    failing = False
    seen.clear()
    app = new_app()
    async with running(app):
        await until(lambda: count(app, "records") == 1)
    assert seen == [b"bad"]


async def test_markers_and_aborted_records_are_no_work(cluster: Cluster) -> None:
    cluster.create("in")
    cluster.produce_in_transaction("in", b"1", b"2", commit=True)
    cluster.produce_in_transaction("in", b"never", commit=False)
    cluster.produce_in_transaction("in", b"3", commit=True)
    cluster.produce("in", b"4")
    app = cluster.app()
    seen: list[bytes | None] = []

    async def work(stream: Any) -> None:
        async for chunk in stream:
            seen.extend(record.value() for record, step in chunk.split() if step.complete() is None)

    app.agent(app.chunks(cluster.topic("in")), name="work")(work)
    async with running(app):
        await until(lambda: count(app, "records") == 4)
        await until(lambda: cluster.committed("in").offset == 8)
    assert seen == [b"1", b"2", b"3", b"4"]


async def test_a_quiet_group_has_no_lag_behind_markers(cluster: Cluster) -> None:
    cluster.create("in")
    app = cluster.app()

    async def work(stream: Any) -> None:
        async for _ in stream:
            pass

    app.agent(app.chunks(cluster.topic("in")), name="work")(work)
    async with running(app):
        cluster.produce_in_transaction("in", b"1", b"2", commit=True)
        await until(lambda: cluster.committed("in").offset == 3)
        for _ in range(20):
            before = count(app, "transactions")
            # Longer than the pause between two commits.
            await asyncio.sleep(2.5)
            if count(app, "transactions") == before:
                return
        pytest.fail("it commits without end")


async def test_a_gap_larger_than_the_window_is_no_obstacle(cluster: Cluster) -> None:
    cluster.create("in")
    cluster.produce("in", b"first")
    cluster.produce_in_transaction("in", *[b"never"] * 300, commit=False)
    cluster.produce("in", b"second")
    app = cluster.app(window=100, chunk_records=50)
    steps: list[Any] = []

    async def work(stream: Any) -> None:
        async for chunk in stream:
            steps.extend(chunk.split())

    app.agent(app.chunks(cluster.topic("in")), name="work")(work)
    async with running(app):
        await until(lambda: app.metrics.registry.get_sample_value("tierflow_engine_paused_partitions") == 1)
        assert [record.value() for record, _ in steps] == [b"first"]
        steps[0][1].complete()
        await until(lambda: len(steps) == 2)
        steps[1][1].complete()
        await until(lambda: cluster.committed("in").offset == 303)


async def test_sends_outside_of_steps_are_acknowledged_with_their_offset(cluster: Cluster) -> None:
    cluster.create("in", "out")
    app = cluster.app()

    async def work(stream: Any) -> None:
        async for chunk in stream:
            await app.send(cluster.topic("out"), value=b"inside", partition=0)
            del chunk

    app.agent(app.chunks(cluster.topic("in")), name="work")(work)
    async with running(app):
        sent = await (await app.send(cluster.topic("out"), value=b"outside", partition=1))
        assert sent.offset == 0
        cluster.produce("in", b"a")
        await until(lambda: count(app, "transactions") == 1)
    assert sorted(value for value in cluster.values("out") if value) == [b"inside", b"outside"]


async def test_an_output_to_an_unknown_topic_fails_its_handler_alone(cluster: Cluster) -> None:
    cluster.create("in", "out")
    app, errors = cluster.app(), []

    async def work(stream: Any) -> None:
        async for chunk in stream:
            for record, step in chunk.split():
                with step:
                    try:
                        step.send(cluster.topic(record.value().decode()), b"v")
                    except UnknownTopic as error:
                        errors.append(str(error))

    app.agent(app.chunks(cluster.topic("in")), name="work")(work)
    async with running(app):
        cluster.produce("in", b"out", b"misspelt")
        await until(lambda: count(app, "records") == 2)
    assert len(errors) == 1
    assert "misspelt" in errors[0]


async def test_a_held_topic_waits_while_the_others_run_on(cluster: Cluster) -> None:
    cluster.create("urgent", "bulk")
    app = cluster.app()
    seen: list[bytes | None] = []

    def agent(name: str) -> None:
        async def work(stream: Any) -> None:
            async for chunk in stream:
                seen.extend(record.value() for record in chunk.records)

        app.agent(app.chunks(cluster.topic(name)), name=name)(work)

    agent("urgent")
    agent("bulk")
    async with running(app):
        app.hold(cluster.topic("bulk"), 0)
        cluster.produce("urgent", b"u0")
        await until(lambda: seen == [b"u0"])
        cluster.produce("bulk", b"b1")
        cluster.produce("urgent", b"u1")
        await until(lambda: b"u1" in seen)
        cluster.produce("urgent", b"u2")
        await until(lambda: b"u2" in seen)
        assert seen == [b"u0", b"u1", b"u2"]
        assert app.metrics.registry.get_sample_value("tierflow_engine_held_partitions") == 1
        app.release(cluster.topic("bulk"), 0)
        await until(lambda: b"b1" in seen)


async def test_two_streams_of_one_topic_are_refused(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.create("in")
    app = cluster.app()

    async def work(stream: Any) -> None:
        async for _ in stream:
            pass

    app.agent(app.chunks(cluster.topic("in")), name="one")(work)
    app.agent(app.chunks(cluster.topic("in")), name="two")(work)
    async with running(app):
        cluster.produce("in", b"a")
        await until(lambda: "two streams read topic" in caplog.text)
