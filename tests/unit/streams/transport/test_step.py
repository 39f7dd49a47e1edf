"""Steps: nothing of an unfinished step gets out, a finished one counts once, a lost one says so."""

import asyncio
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from confluent_kafka import Message

from streams.transport.errors import RecordTooLarge, StepClosed, StepLost, UnknownTopic
from streams.transport.limits import RESERVED_PREFIX
from streams.transport.owned import OwnedPartition
from streams.transport.step import Chunk, Step, current_step
from streams.transport.table import Table


def record(offset: int) -> Message:
    message = Mock(spec=Message)
    message.offset.return_value = offset
    return message


def step_at(owned: OwnedPartition, offset: int) -> Step:
    return Step(owned, owned.trackers["source"], offset, offset + 1)


def table_of(owned: OwnedPartition) -> Table:
    return Table("t", "t-changelog", lambda: {2: owned})


def fail_after_work(step: Step, table: Table) -> None:
    step.send("out", b"v")
    table[b"a"] = b"1"
    raise ZeroDivisionError


def test_an_unfinished_step_gives_nothing_to_the_transaction(owned: OwnedPartition) -> None:
    step_at(owned, 10).send("out", b"v")
    assert owned.take() is None


def test_a_finished_step_gives_outputs_writes_and_offset(owned: OwnedPartition) -> None:
    table = table_of(owned)
    with step_at(owned, 10) as step:
        step.send("out", b"v", b"k", 3, [("h", b"x")])
        table[b"a"] = b"1"
    batch = owned.take()
    assert batch is not None
    assert batch.outputs == [("out", b"v", b"k", 3, [("h", b"x")])]
    assert [(c.table.table, dict(c.values)) for c in batch.changes] == [("t", {b"a": b"1"})]
    assert [(p.topic, p.offset, p.mask) for p in batch.positions] == [("source", 11, 0)]


def test_completing_twice_counts_once(owned: OwnedPartition) -> None:
    step = step_at(owned, 10)
    step.send("out", b"v")
    step.complete()
    step.complete()
    batch = owned.take()
    assert batch is not None
    assert len(batch.outputs) == 1


def test_an_exception_drops_what_the_step_buffered_and_leaves_it_open(owned: OwnedPartition) -> None:
    table, step = table_of(owned), step_at(owned, 10)
    with pytest.raises(ZeroDivisionError), step:
        fail_after_work(step, table)
    assert owned.take() is None
    with step:
        step.send("out", b"second try")
    batch = owned.take()
    assert batch is not None
    assert [output[1] for output in batch.outputs] == [b"second try"]
    assert not any(change.values for change in batch.changes)


def test_steps_complete_in_any_order(owned: OwnedPartition) -> None:
    first, second = step_at(owned, 10), step_at(owned, 11)
    second.complete()
    batch = owned.take()
    assert batch is not None
    assert [(p.offset, p.mask) for p in batch.positions] == [(10, 0b10)]
    first.complete()
    batch = owned.take()
    assert batch is not None
    assert [(p.offset, p.mask) for p in batch.positions] == [(12, 0)]


def test_a_step_without_a_record_is_fenced_by_an_offset(owned: OwnedPartition) -> None:
    with owned.step() as step:
        step.send("out", b"v")
    batch = owned.take()
    assert batch is not None
    assert [(p.topic, p.partition, p.offset) for p in batch.positions] == [("source", 2, 10)]


def test_a_finished_step_takes_nothing_more(owned: OwnedPartition) -> None:
    step = step_at(owned, 10)
    step.complete()
    with pytest.raises(StepClosed):
        step.send("out", b"v")
    with pytest.raises(StepClosed):
        step.put("t", b"k", b"v")


def test_a_step_sees_its_own_writes_and_others_only_finished_ones(owned: OwnedPartition) -> None:
    table = table_of(owned)
    with step_at(owned, 10):
        table[b"a"] = b"1"
        assert table[b"a"] == b"1"
        assert table.partition(2).get(b"a") == b"1"
        del table[b"a"]
        assert b"a" not in table
        table[b"a"] = b"2"
        other = step_at(owned, 11)
        with other:
            assert table.get(b"a", b"none") == b"none"
    with step_at(owned, 12):
        assert table[b"a"] == b"2"


def test_a_table_is_read_and_written_only_inside_a_step(owned: OwnedPartition) -> None:
    table = table_of(owned)
    with pytest.raises(RuntimeError, match="inside a step"):
        table[b"a"] = b"1"
    with pytest.raises(RuntimeError, match="inside a step"):
        table.get(b"a")
    assert table.partition(2).get(b"a") is None
    with pytest.raises(LookupError):
        table.partition(3)


@pytest.mark.parametrize(("key", "value"), [("text", b"v"), (b"k", "text"), (b"k", 1)])
def test_a_table_takes_only_bytes(owned: OwnedPartition, key: Any, value: Any) -> None:
    table = table_of(owned)
    with pytest.raises(TypeError), step_at(owned, 10):
        table[key] = value


def test_a_table_refuses_the_keys_of_the_engine(owned: OwnedPartition) -> None:
    table = table_of(owned)
    with pytest.raises(ValueError, match="belong to the engine"), step_at(owned, 10):
        table[RESERVED_PREFIX + b"x"] = b"1"


def test_outputs_that_no_transaction_could_carry_are_refused_in_the_handler(owned: OwnedPartition) -> None:
    step = step_at(owned, 10)
    with pytest.raises(UnknownTopic, match="nowhere"):
        step.send("nowhere", b"v")
    with pytest.raises(UnknownTopic, match="4 partitions"):
        step.send("out", b"v", partition=4)
    with pytest.raises(RecordTooLarge):
        step.send("out", b"v" * 600, b"k" * 300, headers=[("h", b"x" * 101)])
    with pytest.raises(RecordTooLarge):
        step.put("t", b"k", b"v" * 1_000)
    assert step.outputs is None


async def test_committed_returns_after_the_commit_of_its_batch(owned: OwnedPartition) -> None:
    step = step_at(owned, 10)
    step.complete()
    waiting = asyncio.create_task(step.committed())
    await asyncio.sleep(0)
    batch = owned.take()
    assert batch is not None
    assert not waiting.done()
    batch.commit()
    await waiting
    await step.committed()


async def test_committed_raises_when_the_partition_went_before(owned: OwnedPartition) -> None:
    done, taken, late = step_at(owned, 10), step_at(owned, 11), step_at(owned, 12)
    taken.complete()
    owned.take()
    done.complete()
    waiting = [asyncio.create_task(step.committed()) for step in (done, taken)]
    await asyncio.sleep(0)
    owned.close()
    late.complete()
    for outcome in await asyncio.gather(*waiting, late.committed(), return_exceptions=True):
        assert isinstance(outcome, StepLost)


async def test_a_committed_step_stays_committed_when_the_partition_goes(owned: OwnedPartition) -> None:
    step = step_at(owned, 10)
    step.complete()
    batch = owned.take()
    assert batch is not None
    batch.commit()
    owned.close()
    await step.committed()


async def test_waiting_for_an_unfinished_step_is_an_error(owned: OwnedPartition) -> None:
    with pytest.raises(RuntimeError, match="complete"):
        await step_at(owned, 10).committed()


def test_a_chunk_completes_its_holes_too(owned: OwnedPartition) -> None:
    tracker = owned.trackers["source"]
    chunk = Chunk(owned, tracker, 10, 15, [record(10), record(12), record(14)])
    chunk.complete()
    assert tracker.base == 15


def test_a_split_chunk_is_complete_record_by_record(owned: OwnedPartition) -> None:
    tracker = owned.trackers["source"]
    chunk = Chunk(owned, tracker, 10, 12, [record(10), record(11)])
    (_, first), (_, second) = chunk.split()
    chunk.complete()
    assert tracker.base == 10
    second.complete()
    assert (tracker.base, tracker.mask) == (10, 0b10)
    first.complete()
    assert tracker.base == 12
    assert (chunk.topic, chunk.partition, chunk.owned) == ("source", 2, owned)


def test_a_split_chunk_keeps_no_records_alive(owned: OwnedPartition) -> None:
    chunk = Chunk(owned, owned.trackers["source"], 10, 11, [record(10)])
    chunk.split()
    assert not chunk.records


async def test_what_a_transaction_carried_is_dropped_when_it_is_committed(owned: OwnedPartition) -> None:
    step = owned.step()
    step.send("out", b"v")
    step.complete()
    batch = owned.take()
    assert batch is not None
    assert batch.outputs
    batch.commit()
    assert (batch.outputs, batch.changes) == ([], [])
    await step.committed()


def test_a_chunk_is_split_before_it_is_used(owned: OwnedPartition) -> None:
    chunk = Chunk(owned, owned.trackers["source"], 10, 11, [record(10)])
    chunk.send("out", b"v")
    with pytest.raises(RuntimeError, match="before outputs"):
        chunk.split()


def test_after_a_split_the_chunk_is_no_current_step(owned: OwnedPartition) -> None:
    chunk = Chunk(owned, owned.trackers["source"], 10, 11, [record(10)])
    with chunk:
        chunk.split()
        assert current_step() is None
    with pytest.raises(StepClosed):
        chunk.split()


async def test_a_spawned_task_is_in_no_step_and_ends_with_the_partition(
    owned: OwnedPartition,
) -> None:
    seen: list[object] = []

    async def work() -> None:
        seen.append(current_step())
        await asyncio.Event().wait()

    with step_at(owned, 10):
        task = owned.spawn(work())
    await asyncio.sleep(0)
    assert seen == [None]
    assert owned.is_busy
    owned.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not owned.is_busy


def test_positions_that_moved_over_markers_are_committed_once(owned: OwnedPartition) -> None:
    owned.commit_markers()
    assert owned.take() is None
    owned.trackers["source"].complete(10, 12)
    owned.commit_markers()
    batch = owned.take()
    assert batch is not None
    assert [p.offset for p in batch.positions] == [12]
    owned.commit_markers()
    assert owned.take() is None


def test_a_closed_partition_gives_no_steps_and_no_batches(new_owned: Callable[[], OwnedPartition]) -> None:
    owned = new_owned()
    step_at(owned, 10).complete()
    owned.close()
    owned.close()
    assert owned.take() is None
    with pytest.raises(LookupError):
        owned.step()
