"""The worker's shell: it does what the scheduler says, and counts what it holds."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from agents.context import Context
from agents.executor import Executor, now_ms
from agents.handlers.registry import Handler
from agents.hands import WorkerHands
from agents.providers import Providers
from agents.spreadsheet.workbooks import Workbooks
from agents.worker import Worker
from schemas.errors import TransientError
from schemas.priorities import Lane
from schemas.tiers import Tier
from streams.core.limits import Limits
from tests.unit.agents.engine import (
    CODEC,
    TOPOLOGY,
    MemoryApp,
    a_chunk,
    a_recording,
    fetched,
    metrics,
)
from tests.unit.schemas.examples import GOOD
from tests.unit.streams.core.builders import a_job


class Rig:
    """A worker on partition 0 whose jobs run until `let_go`."""

    def __init__(self, slots: int = 100, limits: Limits | None = None) -> None:
        self.app: Any = MemoryApp()
        self.counted = metrics()
        self.recording = a_recording(self.app, self.counted)
        self.started: list[str] = []
        self.gates: dict[str, asyncio.Future[None]] = {}
        handlers = {"validation": Handler("validation", self._work)}
        executor = Executor(handlers, Providers(), Workbooks(), None, self.counted)
        app: Any = self.app
        hands = WorkerHands(
            app, TOPOLOGY, Tier.IMPORTANT, executor, self.recording, Workbooks(), self.counted
        )
        self.worker = Worker(
            app,
            TOPOLOGY,
            Tier.IMPORTANT,
            CODEC,
            hands,
            self.recording,
            Workbooks(),
            limits or Limits(slots),
            self.counted,
        )
        self.worker.attach()
        self.offset = 0

    async def _work(self, ctx: Context, data: Any) -> None:
        self.started.append(ctx.job.job_id)
        gate = self.gates[ctx.job.job_id] = asyncio.get_running_loop().create_future()
        await gate

    async def open(self) -> None:
        await self.app.opened[0](self.app.partition)

    async def close(self, *, lost: bool) -> None:
        await self.app.closed[0](self.app.partition, lost)

    async def feed(self, *names: str, lane: Lane = Lane.NORMAL, **changes: Any) -> None:
        topic = TOPOLOGY.lane(Tier.IMPORTANT, lane)
        messages = []
        for name in names:
            job = a_job(**{"job_id": name, "data": json.dumps(GOOD["validation"]), **changes})
            messages.append(fetched(topic, job, self.offset))
            self.offset += 1
        await self.feed_raw(topic, *messages)

    async def feed_raw(self, topic: str, *messages: Any) -> None:
        chunk = a_chunk(self.app, topic, *messages)

        async def stream() -> AsyncIterator[Any]:
            yield chunk

        await self.app.agents[topic](stream())

    def let_go(self, name: str, error: Exception | None = None) -> None:
        gate = self.gates[name]
        gate.set_exception(error) if error else gate.set_result(None)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.open()
    return made


async def test_jobs_of_a_key_run_one_after_another_and_leave_nothing(rig: Rig) -> None:
    await rig.feed("a", "b")
    await until(lambda: rig.started == ["a"])
    rig.let_go("a")
    await until(lambda: rig.started == ["a", "b"])
    rig.let_go("b")
    await until(lambda: not rig.app.partition.tasks)
    assert rig.app.states() == ["active", "completed"] * 2
    assert list(rig.recording.parked.scan(0)) == []


async def test_a_record_that_does_not_decode_is_a_letter_and_the_next_one_runs(rig: Rig) -> None:
    topic = TOPOLOGY.lane(Tier.IMPORTANT, Lane.NORMAL)
    job = a_job(data=json.dumps(GOOD["validation"]))
    await rig.feed_raw(topic, fetched(topic, b"x", 0), fetched(topic, None, 1), fetched(topic, job, 2))
    await until(lambda: rig.started == ["job-1"])
    assert [letter.source_offset for letter in rig.app.letters()] == [0, 1]
    assert rig.app.letters()[0].tier == 2


async def test_a_loop_that_is_behind_makes_no_job_a_long_one(rig: Rig) -> None:
    async def turns(count: int) -> None:
        for _ in range(count):
            time.sleep(0.05)  # noqa: ASYNC251 - so long the loop does something else
            await asyncio.sleep(0)

    clock = asyncio.create_task(rig.app.clock())
    await turns(4)
    await rig.feed("a")
    await turns(4)
    rig.let_go("a")
    await until(lambda: rig.worker._machine.running == 0)
    clock.cancel()
    assert len(rig.app.partition.sent) == 1  # of a long one there are two


async def test_a_retry_parks_what_stands_behind_it_and_runs_first_when_due(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.feed("a", "b", backoff_delay_ms=0)
    await until(lambda: rig.started == ["a"])
    rig.let_go("a", TransientError("x"))
    await until(lambda: len(list(rig.recording.parked.scan(0))) == 2)
    clock = asyncio.create_task(rig.app.clock())
    await until(lambda: rig.started == ["a", "a"])
    rig.let_go("a")
    await until(lambda: rig.started == ["a", "a", "b"])
    clock.cancel()


async def test_a_delayed_job_is_parked_until_its_time(rig: Rig) -> None:
    await rig.feed("later", not_before=now_ms() + 3_600_000)
    ((_, parked),) = rig.recording.parked.scan(0)
    assert (parked.state, parked.holder) == ("delayed", False)
    assert rig.started == []
    assert rig.app.states() == ["delayed"]


async def test_a_job_in_front_that_was_parked_while_it_runs_ends_as_ever() -> None:
    rig = Rig(limits=Limits(100, key_share=1))
    await rig.open()
    await rig.feed("a")
    await until(lambda: rig.started == ["a"])
    await rig.feed("b", "c")
    assert [parked.job.job_id for _, parked in rig.recording.parked.scan(0)] == ["a", "b", "c"]
    for name in "abc":
        await until(lambda name=name: rig.started[-1] == name)  # type: ignore[misc]
        rig.let_go(name)
    await until(lambda: not rig.app.partition.tasks)
    assert list(rig.recording.parked.scan(0)) == []
    assert sorted(rig.app.states()) == sorted(["active", "completed"] * 3)


async def test_a_full_lane_pauses_and_goes_on_when_there_is_room() -> None:
    rig = Rig(limits=Limits(100, full=3, room=1))
    await rig.open()
    topic = TOPOLOGY.lane(Tier.IMPORTANT, Lane.NORMAL)
    await rig.feed("a", "b")
    assert rig.app.held == []
    await rig.feed("c")
    assert rig.app.held == [("hold", topic, 0)]
    for name in "abc":
        await until(lambda name=name: rig.started[-1:] == [name])  # type: ignore[misc]
        rig.let_go(name)
    await until(lambda: not rig.app.partition.tasks)
    assert rig.app.held == [("hold", topic, 0), ("release", topic, 0)]


async def test_a_task_cancelled_before_its_first_step_gives_its_slot_back() -> None:
    rig = Rig(slots=1)
    await rig.open()
    await rig.feed("a", ordering_key="a")
    (task,) = rig.app.partition.tasks
    task.cancel()
    await until(task.done)
    await rig.feed("b", ordering_key="b")
    await until(lambda: rig.started == ["b"])


async def test_a_partition_that_goes_lets_running_jobs_end_and_starts_no_others(rig: Rig) -> None:
    await rig.feed("a", "b")
    await until(lambda: rig.started == ["a"])
    closing = asyncio.create_task(rig.close(lost=False))
    await asyncio.sleep(0)
    rig.let_go("a")
    await closing
    await rig.feed("c")
    await asyncio.sleep(0)
    assert rig.started == ["a"]
    assert rig.app.states() == ["active", "completed"]


async def test_what_the_last_owner_left_is_taken_over() -> None:
    first = Rig()
    await first.open()
    await first.feed("a", "b", backoff_delay_ms=0)
    await until(lambda: first.started == ["a"])
    first.let_go("a", TransientError("x"))
    await until(lambda: len(list(first.recording.parked.scan(0))) == 2)
    await first.close(lost=True)
    await first.open()
    await until(lambda: first.started == ["a", "a"])
