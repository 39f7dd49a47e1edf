"""One attempt of one job, from its turn to what is recorded of it."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agents.context import Context
from agents.executor import Executor, now_ms, present
from agents.handlers.registry import Handler
from agents.hands import WorkerHands
from agents.providers import Providers
from agents.recording import Recording
from agents.spreadsheet.workbooks import Workbooks
from agents.worker import Tables
from schemas.errors import PermanentError, TransientError
from schemas.priorities import Lane
from schemas.records import IdempotencyEntry
from schemas.states import State
from schemas.tiers import Tier
from streams.core import attempt as rules
from streams.core.attempt import Attempt
from streams.core.backoff import Dead, Retry
from streams.core.entry import Entry
from streams.core.limits import Limits
from streams.core.machine import Machine
from streams.core.outcome import Completed, Duplicate, Outcome, Repeated
from tests.unit.agents.engine import TOPOLOGY, MemoryApp, a_recording, from_topic, metrics
from tests.unit.schemas.examples import GOOD

Work = Callable[[Context, Any], Awaitable[dict[str, Any] | None]]
DIGEST = b"d" * 16


class Bench:
    """An executor with one handler for two types: `validation` (no check-in), `refund-process` (check-in)."""

    def __init__(self, work: Work) -> None:
        self.app, self.counted = MemoryApp(), metrics()
        self.calls = 0
        self.work = work
        self.recording = a_recording(self.app, self.counted)
        handlers = {kind: Handler(kind, self._handle) for kind in ("validation", "refund-process")}
        self.executor = Executor(handlers, Providers(), Workbooks(), None, self.counted)

    async def _handle(self, ctx: Context, data: Any) -> dict[str, Any] | None:
        self.calls += 1
        self.app.partition.seen.append("handler")
        return await self.work(ctx, data)

    def entry(self, kind: str = "validation", **changes: Any) -> Entry:
        return from_topic(self.app, **{"type": kind, "data": json.dumps(GOOD[kind]), **changes})

    async def run(self, entry: Entry) -> Outcome:
        """The attempt by a machine of its own, to what is written of it."""
        machine, hands = self.start(entry)
        async with asyncio.timeout(60):
            while hands.result is None:
                machine.tick(present())
                await asyncio.sleep(0)
        return hands.result

    def start(self, entry: Entry) -> "tuple[Machine, Watched]":
        """The entry's turn comes."""
        hands = Watched(self)
        machine = Machine(hands, NothingParked(self.recording), lambda: 0.5, Limits(10))
        hands.serve(machine, lambda _: self.app.partition)
        machine.opened(0, present())
        machine.arrived(0, entry.lane, [entry], present())
        return machine, hands

    def know(self, **changes: Any) -> None:
        given = {
            "job_id": "first",
            "data_hash": b"hash",
            "state": "completed",
            "expires_at": 2**60,
            "result": "r",
        }
        with self.app.step(0):
            self.recording.idempotency.put(DIGEST, IdempotencyEntry(**{**given, **changes}))

    def parked(self) -> list[tuple[bytes, Any]]:
        return list(self.recording.parked.scan(0))


class Watched(WorkerHands):
    """The worker's hands; keeps the outcome."""

    def __init__(self, bench: Bench) -> None:
        app: Any = bench.app
        super().__init__(
            app, TOPOLOGY, Tier.IMPORTANT, bench.executor, bench.recording, Workbooks(), bench.counted
        )
        self.result: Outcome | None = None

    def ended(self, attempt: Attempt, result: Outcome) -> None:
        super().ended(attempt, result)
        self.result = result


class NothingParked(Tables):
    """The tables of a partition that was just created, but for the idempotency keys."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(recording)
        self.parked = lambda partition, prefix=b"": iter(())


async def fine(ctx: Context, data: Any) -> dict[str, Any] | None:
    return {"ok": 1}


def raising(error: BaseException) -> Work:
    async def work(ctx: Context, data: Any) -> dict[str, Any] | None:
        raise error

    return work


async def test_a_job_that_completes_is_recorded_with_its_result_and_leaves_nothing_parked() -> None:
    bench = Bench(fine)
    entry = bench.entry()
    result = await bench.run(entry)
    assert isinstance(result, Completed)
    assert result.result == '{"success":true,"data":{"ok":1}}'
    assert bench.app.states() == ["active", "completed"]
    assert bench.parked() == []
    assert bench.app.partition.trackers["lane"].base == 1


async def test_a_permanent_error_is_a_dead_letter_at_the_first_attempt() -> None:
    bench = Bench(raising(PermanentError("no such card", code="card_declined")))
    result = await bench.run(bench.entry())
    assert isinstance(result, Dead)
    (letter,) = bench.app.letters()
    assert (letter.error_class, letter.message, letter.job_id) == ("card_declined", "no such card", "job-0")
    assert [(error.attempt, error.error_class) for error in letter.errors] == [(1, "card_declined")]
    assert bench.app.states() == ["active", "dead"]
    assert bench.parked() == []


async def test_a_transient_error_is_tried_again_when_the_provider_says() -> None:
    bench = Bench(raising(TransientError("slow down", code="rate_limited", retry_after_s=7)))
    before = now_ms()
    result = await bench.run(bench.entry())
    assert isinstance(result, Retry)
    assert before + 7_000 <= result.due <= now_ms() + 7_000
    ((_, parked),) = bench.parked()
    assert (parked.state, parked.holder, parked.attempt, parked.due) == ("delayed", True, 2, result.due)
    assert bench.app.letters() == []


async def test_a_handler_that_takes_too_long_times_out() -> None:
    async def forever(ctx: Context, data: Any) -> None:
        await asyncio.Event().wait()

    bench = Bench(forever)
    result = await bench.run(bench.entry(timeout_ms=20))
    assert isinstance(result, Retry)
    assert result.failure.error_class == "timeout"


async def test_an_unknown_error_is_tried_again_under_its_own_name() -> None:
    bench = Bench(raising(ZeroDivisionError("oops")))
    result = await bench.run(bench.entry())
    assert isinstance(result, Retry)
    assert (result.failure.error_class, result.failure.message) == ("ZeroDivisionError", "oops")


async def test_the_last_attempt_that_fails_is_a_dead_letter_with_every_error() -> None:
    bench = Bench(raising(TimeoutError()))
    entry = bench.entry(attempts=2)
    assert isinstance(await bench.run(entry), Retry)
    assert isinstance(await bench.run(entry), Dead)
    (letter,) = bench.app.letters()
    assert [error.attempt for error in letter.errors] == [1, 2]
    assert bench.app.states() == ["active", "failed", "delayed", "active", "dead"]
    assert bench.parked() == []


async def test_data_that_breaks_its_contract_never_reaches_the_handler() -> None:
    bench = Bench(fine)
    result = await bench.run(bench.entry(data='{"rules":[]}'))
    assert isinstance(result, Dead)
    assert result.failure.error_class == "validation"
    assert "data.documentId" in result.failure.message
    assert bench.calls == 0


async def test_a_type_without_a_handler_is_dead_not_simulated() -> None:
    bench = Bench(fine)
    result = await bench.run(bench.entry("data_fetch"))
    assert isinstance(result, Dead)
    assert result.failure.error_class == "unsupported"


# -- what is known before


async def test_a_duplicate_is_answered_without_running() -> None:
    bench = Bench(fine)
    bench.know()
    assert await bench.run(bench.entry(idempotency=DIGEST)) == Duplicate("first", "r")
    assert (bench.calls, bench.app.states()) == (0, ["duplicate"])


async def test_other_data_under_a_known_key_is_dead_without_running() -> None:
    bench = Bench(fine)
    bench.know(data_hash=b"other")
    assert isinstance(await bench.run(bench.entry(idempotency=DIGEST)), Dead)
    (letter,) = bench.app.letters()
    assert (letter.error_class, letter.errors) == ("idempotency_conflict", [])
    assert (bench.calls, bench.app.states()) == (0, ["dead"])


async def test_a_job_handed_in_again_says_nothing_a_second_time() -> None:
    bench = Bench(fine)
    bench.know(job_id="job-0")
    assert await bench.run(bench.entry(idempotency=DIGEST)) == Repeated()
    assert (bench.calls, bench.app.partition.sent) == (0, [])
    assert bench.app.partition.trackers["lane"].base == 1


async def test_a_completed_job_makes_the_next_of_its_key_a_duplicate() -> None:
    bench = Bench(fine)
    await bench.run(bench.entry(idempotency=DIGEST))
    second = from_topic(bench.app, 1, Lane.NORMAL, type="validation", idempotency=DIGEST, data="{}")
    assert await bench.run(second) == Duplicate("job-0", '{"success":true,"data":{"ok":1}}')


async def test_a_job_that_went_down_with_five_workers_is_not_run_a_sixth_time() -> None:
    bench = Bench(fine)
    entry = bench.entry()
    entry.interruptions, entry.state = 5, State.ACTIVE
    assert isinstance(await bench.run(entry), Dead)
    assert bench.app.letters()[0].error_class == "interrupted"
    assert (bench.calls, bench.app.states()) == (0, ["dead"])


# -- check-in


async def test_the_check_in_is_committed_before_the_handler_starts() -> None:
    bench = Bench(fine)
    await bench.run(bench.entry("refund-process"))
    assert bench.app.partition.seen == ["committed", "handler"]
    assert bench.app.states() == ["active", "completed"]
    assert bench.parked() == []


async def test_a_process_stopped_between_check_in_and_call_checks_in_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(fine)
    seen = bench.app.partition.seen
    monkeypatch.setattr(time, "clock_gettime", lambda _: 9.0 if "committed" in seen else 0.0)
    await bench.run(bench.entry("refund-process"))
    assert bench.app.partition.seen == ["committed", "committed", "handler"]


async def test_a_check_in_without_the_partition_calls_nobody() -> None:
    bench = Bench(fine)
    entry = bench.entry("refund-process")
    entry.step = None
    bench.app.partition.close()
    machine, hands = bench.start(entry)
    await asyncio.sleep(0)
    assert (bench.calls, hands.result, machine.running) == (0, None, 0)


# -- what no record can hold


async def test_a_result_that_is_too_large_is_a_dead_letter() -> None:
    async def huge(ctx: Context, data: Any) -> dict[str, Any]:
        return {"text": "ü" * 130_000}  # more bytes than characters

    bench = Bench(huge)
    result = await bench.run(bench.entry())
    assert isinstance(result, Dead)
    assert result.failure.error_class == "result_too_large"


async def test_an_outcome_that_cannot_be_written_is_a_dead_letter_and_frees_the_key() -> None:
    """The job stood in front of its key for ever, and was run again by every new owner."""

    async def told_too_much(ctx: Context, data: Any) -> dict[str, Any]:
        ctx.live("cells_changed", {"text": "x" * 960_000})
        return {}

    bench = Bench(told_too_much)
    result = await bench.run(bench.entry(document_id="doc-1"))
    assert isinstance(result, Dead)
    assert bench.app.letters()[0].error_class == "unrecordable"
    assert bench.app.states() == ["active", "dead"]
    assert bench.app.partition.trackers["lane"].base == 1


async def test_a_large_job_that_dies_has_a_letter_that_fits() -> None:
    """The letter held the data twice and was refused."""
    text = json.dumps({**GOOD["validation"], "extra": "x" * 600_000})
    bench = Bench(raising(PermanentError("no")))
    assert isinstance(await bench.run(bench.entry(data=text)), Dead)
    (letter,) = bench.app.letters()
    assert letter.value is not None
    assert letter.data is None


# -- progress


async def test_progress_is_told_once_per_stage_and_at_most_every_half_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "clock_gettime", lambda _: clock[0])

    async def steps(ctx: Context, data: Any) -> None:
        ctx.progress(1, "initializing")
        ctx.progress(2, "initializing")
        clock[0] += 0.6
        ctx.progress(3, "initializing")
        ctx.progress(250, "executing")

    bench = Bench(steps)
    entry = bench.entry("refund-process")
    await bench.run(entry)
    assert bench.app.states() == ["active", "active", "active", "active", "completed"]


async def test_a_job_that_is_over_at_once_tells_no_progress() -> None:
    async def steps(ctx: Context, data: Any) -> None:
        ctx.progress(50, "executing")

    bench = Bench(steps)
    await bench.run(bench.entry())
    assert bench.app.states() == ["active", "completed"]


async def test_a_job_that_runs_on_lets_its_source_offset_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "LONG_RUNNING_S", 0.0)

    async def slow(ctx: Context, data: Any) -> None:
        while bench.app.partition.trackers["lane"].base == 0:  # noqa: ASYNC110
            await asyncio.sleep(0)
        ((_, parked),) = bench.parked()
        assert (parked.state, parked.holder) == ("active", True)

    bench = Bench(slow)
    assert isinstance(await bench.run(bench.entry()), Completed)
    assert bench.app.states() == ["active", "completed"]
    assert bench.parked() == []


async def test_outcomes_are_counted() -> None:
    bench = Bench(raising(TransientError("x")))
    await bench.run(bench.entry(attempts=1))
    sample = bench.counted.results.labels("robot", "validation", "dead")
    assert sample._value.get() == 1
