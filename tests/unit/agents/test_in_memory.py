"""The in-memory runner: what a job author's test sees of retries, delays, children, crashes and modes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest

from agents.in_memory import InMemory
from agents.jobs import (
    Context,
    Contract,
    PermanentError,
    Queue,
    RetryPolicy,
    Tier,
    TransientError,
    handles,
    job_type,
)
from schemas.errors import ContractError
from schemas.records import JobOptions

pytestmark = pytest.mark.usefixtures("own_catalogue")
START = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = Queue("tests", Tier.IMPORTANT)
SLOWLY = RetryPolicy("linear", attempts=3, delay_ms=60_000, max_delay_ms=600_000, jitter=False)


class Do(Contract):
    what: str
    times: int = 0


class Untellable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


@handles(job_type("do", Do, QUEUE, retry=SLOWLY))
async def do(ctx: Context, data: Do) -> dict[str, Any]:
    if data.what == "children":
        ctx.submit("do", Do(what="fine"), delay=timedelta(hours=2))
        ctx.submit("greet", {"what": "by the parent"})
    if data.what == "hang":
        await asyncio.Event().wait()
    if data.what == "until cancelled":
        await ctx.cancelled.wait()
        ctx.cancelled.check()
    if data.what == "loosely typed":
        ctx.progress(100 * 1 / 3, "s", 7)  # type: ignore[arg-type]
        raise PermanentError("x", code=HTTPStatus.TOO_MANY_REQUESTS)
    if data.what == "untellable":
        raise Untellable
    if ctx.attempt <= data.times:
        raise TransientError("not yet", code="busy")
    if data.what == "refuse":
        raise PermanentError("never", code="refused")
    return {"attempt": ctx.attempt}


@handles(job_type("greet", Do, QUEUE, idempotency="greet-{what}"))
def greet(ctx: Context, data: Do) -> dict[str, Any]:
    return {"said": data.what}


@handles(job_type("wire", Do, QUEUE, on_unknown="park"))
async def wire(ctx: Context, data: Do) -> dict[str, Any]:
    if data.what == "hang":
        await asyncio.Event().wait()
    return {"interruptions": ctx.interruptions}


@pytest.fixture
async def jobs() -> AsyncIterator[InMemory]:
    async with InMemory(handlers=[do, greet, wire], now=START) as made:
        yield made


async def started(jobs: InMemory) -> None:
    """Until a handler runs that does not end; a turn of the runner and no more."""
    running = asyncio.ensure_future(jobs.run())
    while not jobs.running:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])


async def test_retries_come_when_their_policy_says(jobs: InMemory) -> None:
    job = jobs.submit("do", {"what": "fine", "times": 2})
    await jobs.run()
    assert (jobs[job].state, jobs[job].attempts) == ("delayed", 1)
    first = jobs.clock.now_ms() + 60_000
    assert first - 1_000 < (jobs[job].due or 0) <= first
    await jobs.advance(timedelta(seconds=61))
    assert jobs[job].attempts == 2
    await jobs.finish(job)
    assert (jobs[job].result, jobs[job].states[-2:]) == ({"attempt": 3}, ["active", "completed"])
    assert jobs.clock.now_ms() >= first + 120_000


async def test_a_dead_job_has_its_letter(jobs: InMemory) -> None:
    job = jobs.submit("do", {"what": "refuse"})
    await jobs.run()
    error = jobs[job].error
    assert error is not None
    assert (jobs[job].state, error.error_class) == ("dead", "refused")
    assert [letter.job_id for letter in jobs.letters] == [job]


async def test_what_the_gateway_would_refuse_is_refused(jobs: InMemory) -> None:
    with pytest.raises(ContractError, match=r"data\.what"):
        jobs.submit("do", {})


async def test_children_leave_when_their_parent_succeeds_and_not_before(jobs: InMemory) -> None:
    parent = jobs.submit("do", {"what": "children", "times": 1})
    await jobs.run()
    assert [job.job_id for job in jobs.jobs] == [parent]
    await jobs.advance(timedelta(seconds=61))
    assert sorted((job.type, str(job.state)) for job in jobs.jobs) == [
        ("do", "completed"), ("do", "delayed"), ("greet", "completed"),
    ]  # fmt: skip
    await jobs.finish()
    assert [str(job.state) for job in jobs.jobs] == ["completed"] * 3


async def test_a_parent_that_is_driven_again_does_not_double_its_children(jobs: InMemory) -> None:
    parent = jobs.submit("do", {"what": "children"})
    await jobs.finish(parent)
    known = {job.job_id for job in jobs.jobs}
    again = jobs.submit(
        "do", {"what": "children"}, job_id=parent, options=JobOptions(idempotency_key="other")
    )
    assert again == parent
    await jobs.finish()
    greeted = [job for job in jobs.jobs if job.type == "greet"]
    assert {job.job_id for job in jobs.jobs} == known
    assert [job.states.count("completed") for job in greeted] == [1]


async def test_one_effect_per_key(jobs: InMemory) -> None:
    first, second = (jobs.submit("greet", {"what": "x"}) for _ in range(2))
    await jobs.run()
    assert (jobs[first].state, jobs[second].state) == ("completed", "duplicate")
    assert jobs[first].result == jobs[second].result == {"said": "x"}


async def test_a_crash_interrupts_what_runs_and_it_runs_again(jobs: InMemory) -> None:
    job = jobs.submit("do", {"what": "fine"}, options=JobOptions(delay_ms=1_000))
    await jobs.run()
    await jobs.crash()
    await jobs.finish(job)
    assert jobs[job].states == ["delayed", "active", "completed"]


async def test_an_effect_that_may_have_happened_waits_for_a_person(jobs: InMemory) -> None:
    job = jobs.submit("wire", {"what": "hang"})
    await started(jobs)
    await jobs.crash()
    await jobs.run()
    error = jobs[job].error
    assert error is not None
    assert (jobs[job].states, error.error_class) == (["active", "dead"], "unknown_outcome")
    assert [letter.error_class for letter in jobs.letters] == ["unknown_outcome"]


async def test_a_job_that_nobody_waits_for_ends_with_the_runner(jobs: InMemory) -> None:
    jobs.submit("do", {"what": "hang"})
    await started(jobs)
    assert jobs.running == 1


async def test_waiting_for_what_never_comes_is_told(jobs: InMemory) -> None:
    with pytest.raises(LookupError, match="nothing is due"):
        await jobs.finish("no-such-job")


async def test_a_job_that_waits_is_cancelled_and_never_runs(jobs: InMemory) -> None:
    late = jobs.submit("do", Do(what="fine"), options=JobOptions(delay_ms=60_000))
    await jobs.run()
    jobs.cancel(late, "a mistake")
    await jobs.advance(timedelta(hours=1))
    assert jobs[late].states == ["delayed", "cancelled"]


async def test_a_running_job_is_stopped_after_its_grace(jobs: InMemory) -> None:
    stuck = jobs.submit("do", Do(what="hang"))
    await started(jobs)
    jobs.cancel(stuck)
    for _ in range(3):
        running = asyncio.ensure_future(jobs.run())
        await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait([running])
        jobs.clock.advance(timedelta(seconds=3))
    await jobs.run()
    assert jobs[stuck].state == "cancelled"


async def test_a_handler_that_looks_stops_when_its_job_is_cancelled(jobs: InMemory) -> None:
    job = jobs.submit("do", {"what": "until cancelled"})
    await started(jobs)
    jobs.cancel(job)
    await jobs.run()
    assert jobs[job].states[-1] == "cancelled"


async def test_what_a_handler_gives_in_another_type_is_taken_as_it_is_meant(jobs: InMemory) -> None:
    job = jobs.submit("do", {"what": "loosely typed"})
    await jobs.run()
    failure = jobs[job].error
    assert failure is not None
    assert (jobs[job].state, failure.error_class) == ("dead", "429")


async def test_an_error_without_a_text_ends_its_attempt_and_its_key_goes_on(jobs: InMemory) -> None:
    job = jobs.submit("do", {"what": "untellable"})
    await jobs.finish(job)
    failure = jobs[job].error
    assert failure is not None
    assert (jobs[job].state, failure.error_class) == ("dead", "Untellable")
