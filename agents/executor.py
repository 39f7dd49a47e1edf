"""One attempt of one job, as a pipeline: answer from the table, check in, perform, normalise, record.

No exception leaves it: what fails is an outcome. Outcomes are completed, retry, dead, duplicate and repeated.
"""

import asyncio
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from agents.context import Context
from agents.document import JobDocument
from agents.failures import MESSAGE_KEPT, classify
from agents.handlers.registry import Handler
from agents.providers import Providers
from agents.recording import Recording
from agents.tables import CellsTable
from agents.workbooks import Workbooks
from schemas.catalogue import JOB_TYPES
from schemas.errors import PermanentError
from schemas.records import Failure
from schemas.states import State
from streams.core import outcome
from streams.core.backoff import Dead, Retry, after_failure
from streams.core.entry import Entry
from streams.core.outcome import Completed, Duplicate, Repeated
from streams.log import get
from streams.metrics import WorkerMetrics
from streams.transport.errors import StepClosed, StepLost

log = get("tierflow.worker")
Outcome = Completed | Duplicate | Repeated | Retry | Dead

# A job that runs longer than this lets its source offset go, so that others' offsets can be committed.
LONG_RUNNING_S = 0.1
# Ownership was proved when the check-in was committed; a call may start no later than this after it was sent.
CHECK_IN_VALID_S = 2.0
PROGRESS_EVERY_S = 0.5
MAX_RESULT_BYTES = 256_000
_CLOCK = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution under way."""

    entry: Entry
    began: int
    document: JobDocument
    context: Context


class Executor:
    """Runs attempts. The worker tells it which; it answers what came of them."""

    def __init__(
        self, handlers: Mapping[str, Handler], providers: Providers, workbooks: Workbooks,
        recording: Recording, cells: CellsTable | None, metrics: WorkerMetrics,
    ) -> None:  # fmt: skip
        self._handlers, self._providers, self._workbooks = handlers, providers, workbooks
        self._recording, self._cells, self._metrics = recording, cells, metrics

    async def run(self, entry: Entry) -> Outcome:
        """The attempt, from its turn to its recorded outcome.

        Raises LookupError or TransportError when the partition is gone: the next owner decides then.
        """
        attempt = self._start(entry)
        result: Outcome | None = self._answer(entry, attempt.began)
        ran = result is None
        if result is None:
            result = await self._execute(attempt)
        result = self._recorded(attempt, result, ran=ran)
        if ran and not isinstance(result, Completed):
            self._workbooks.forget(entry.partition, attempt.document.id)
        self._count(entry, result)
        return result

    def _start(self, entry: Entry) -> Attempt:
        job = entry.job
        document = JobDocument(self._cells, entry.partition, job)
        bound: Any = log.bind(job_id=job.job_id, type=job.type, attempt=entry.attempt)
        context = Context(
            job, entry.attempt, entry.interruptions, self._providers, document, self._workbooks,
            _Progress(self._recording, entry), bound,
        )  # fmt: skip
        return Attempt(entry, now_ms(), document, context)

    def _answer(self, entry: Entry, now: int) -> Outcome | None:
        """What is known without running it: interrupted too often, done before, or its key in other use."""
        if entry.interruptions >= outcome.MAX_INTERRUPTIONS:
            message = f"its worker went away {entry.interruptions} times while it ran"
            return Dead(Failure("interrupted", message, retryable=False))
        if entry.job.idempotency is None:
            return None
        known = self._recording.idempotency.get(entry.partition, entry.job.idempotency)
        seen = outcome.seen_before(entry, known, now)
        return Dead(seen) if isinstance(seen, Failure) else seen

    async def _execute(self, attempt: Attempt) -> Outcome:
        entry, job = attempt.entry, attempt.entry.job
        self._metrics.wait.labels(job.queue, entry.lane.label).observe(
            (attempt.began - job.accepted_at) / 1e3
        )
        if job.type in JOB_TYPES and JOB_TYPES[job.type].check_in:
            await self._check_in(entry)
        letting_go = asyncio.get_running_loop().call_later(LONG_RUNNING_S, self._let_go, attempt)
        try:
            return Completed(await self._perform(attempt))
        except Exception as error:
            failure, retry_after_s = classify(error)
            attempt.context.log.info("attempt failed", error_class=failure.error_class, error=failure.message)
            return after_failure(job, entry.attempt, failure, now_ms(), random.random, retry_after_s)
        finally:
            letting_go.cancel()
            self._metrics.duration.labels(job.queue, job.type).observe((now_ms() - attempt.began) / 1e3)

    async def _check_in(self, entry: Entry) -> None:
        """Commit that this attempt runs, before it can have an effect: the commit proves the job is ours."""
        while True:
            sent = time.clock_gettime(_CLOCK)
            await self._recording.write(entry, outcome.started(entry, now_ms())).committed()
            if time.clock_gettime(_CLOCK) - sent <= CHECK_IN_VALID_S:
                return
            log.warning("stopped between check-in and call: checking in again", job_id=entry.job.job_id)

    async def _perform(self, attempt: Attempt) -> str:
        job = attempt.entry.job
        handler = self._handlers.get(job.type)
        if handler is None:
            raise PermanentError(f"this version has no handler for {job.type!r}", code="unsupported")
        data = JOB_TYPES[job.type].contract.parse(job.data)
        async with asyncio.timeout(job.timeout_ms / 1000):
            result = await handler.function(attempt.context, data)
        raw = msgspec.json.encode({"success": True, "data": result})
        if len(raw) > MAX_RESULT_BYTES:
            message = f"a result of {len(raw)} bytes; at most {MAX_RESULT_BYTES}"
            raise PermanentError(message, code="result_too_large")
        return raw.decode()

    def _let_go(self, attempt: Attempt) -> None:
        # Its step may be gone without this: a job in front of parked ones stands in the table with them.
        if attempt.entry.state is not State.ACTIVE:
            self._recording.write(attempt.entry, outcome.started(attempt.entry, attempt.began))

    def _recorded(self, attempt: Attempt, result: Outcome, *, ran: bool) -> Outcome:
        """What was recorded: the outcome, or a dead letter when no record can hold the outcome.

        Without the dead letter the job would stand in front of its key for ever, here and at the next owner.
        """
        entry = attempt.entry
        before = entry.state, entry.number, entry.attempt, list(entry.errors)
        try:
            self._record(attempt, result, ran=ran)
        except (LookupError, StepLost, StepClosed):
            raise
        except Exception as error:
            attempt.context.log.exception("an outcome that cannot be recorded")
            entry.state, entry.number, entry.attempt, entry.errors = before
            result = Dead(Failure("unrecordable", str(error)[:MESSAGE_KEPT], retryable=False))
            self._record(attempt, result, ran=ran)
        return result

    def _record(self, attempt: Attempt, result: Outcome, *, ran: bool) -> None:
        entry, now = attempt.entry, now_ms()
        began = attempt.began if ran else None
        match result:
            case Completed():
                writes = outcome.completed(entry, result, now, attempt.began)
                self._recording.write(entry, writes, attempt.document, attempt.context.updates)
            case Duplicate():
                self._recording.write(entry, outcome.duplicate(entry, result, now))
            case Repeated():
                self._recording.write(entry, outcome.Writes(now))
            case Retry():
                writes = outcome.retried(entry, result.failure, result.due, now, attempt.began)
                self._recording.write(entry, writes)
            case Dead():
                outcome.note_failure(entry, result.failure, now, ran=ran)
                letter = self._recording.letter(entry, result.failure, now)
                self._recording.write(entry, outcome.dead(entry, result.failure, letter, now, began))

    def _count(self, entry: Entry, result: Outcome) -> None:
        kind = (entry.job.queue, entry.job.type)
        match result:
            case Completed():
                name = "success"
            case Duplicate() | Repeated():
                name = "duplicate"
                self._metrics.duplicates.labels(*kind).inc()
            case Retry():
                name = "timeout" if result.failure.error_class == "timeout" else "failure"
                self._metrics.retries.labels(*kind).inc()
            case Dead():
                name = "dead"
                self._metrics.dead.labels(*kind, result.failure.error_class).inc()
        self._metrics.results.labels(*kind, name).inc()


class _Progress:
    """What `ctx.progress` calls: at most a record every half second, but one for every new stage.

    Nothing is written for a job that is not checked in yet: it runs for less than `LONG_RUNNING_S` so far.
    """

    def __init__(self, recording: Recording, entry: Entry) -> None:
        self._recording, self._entry = recording, entry
        self._stage: str | None = None
        self._said_at = 0.0

    def __call__(self, percentage: int, stage: str | None, message: str | None) -> None:
        now = time.monotonic()
        if self._entry.state is not State.ACTIVE or self._entry.step is not None:
            return
        if stage == self._stage and now - self._said_at < PROGRESS_EVERY_S:
            return
        self._stage, self._said_at = stage, now
        writes = outcome.progressed(self._entry, now_ms(), percentage, stage, message)
        self._recording.write(self._entry, writes)
