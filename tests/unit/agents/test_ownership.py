"""A partition is marked while somebody works on it: a mark that is left says that the owner died."""

from typing import Any

from agents.ownership import MARK, Ownership
from tests.unit.agents.engine import MemoryApp, a_recording, metrics


def an_ownership(app: Any) -> Ownership:
    recording = a_recording(app, metrics())
    return Ownership(recording.idempotency, recording.worker)


async def test_the_mark_of_an_owner_that_died_is_found_by_the_next_one() -> None:
    app: Any = MemoryApp()
    owners = an_ownership(app)
    assert not await owners.take(app.partition)
    assert await owners.take(app.partition)


async def test_the_mark_is_committed_before_the_work_begins() -> None:
    app: Any = MemoryApp()
    await an_ownership(app).take(app.partition)
    assert app.partition.seen == ["committed"]


async def test_a_partition_that_was_given_back_has_no_mark() -> None:
    app: Any = MemoryApp()
    owners = an_ownership(app)
    await owners.take(app.partition)
    owners.give_back(app.partition)
    assert app.partition.tables["idempotency"].get(MARK) is None
    assert not await owners.take(app.partition)


async def test_who_lost_a_partition_leaves_its_mark_alone() -> None:
    app: Any = MemoryApp()
    owners = an_ownership(app)
    await owners.take(app.partition)
    app.partition.close()
    owners.give_back(app.partition)
    assert app.partition.tables["idempotency"].get(MARK) is not None
