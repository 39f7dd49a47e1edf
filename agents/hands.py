"""The hands of the core on the engine: steps, tasks, holds, and what is counted.

The end of work comes back to the machine as an event, also when it is cancelled before its first step.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from agents.document import Carried
from agents.executor import Executor, now_ms, present
from agents.failures import classify
from agents.recording import Recording
from agents.spreadsheet.workbooks import Workbooks
from schemas.priorities import Lane
from schemas.records import Control, DeadLetter, Failure
from schemas.tiers import Tier
from streams.core.attempt import Attempt
from streams.core.backoff import Dead, Retry
from streams.core.entry import Entry
from streams.core.machine import Machine
from streams.core.orders import PAUSE
from streams.core.outcome import Cancelled, Completed, Duplicate, Outcome, Repeated, Writes
from streams.core.ports import Time
from streams.log import get
from streams.metrics import WorkerMetrics
from streams.topics import Topology
from streams.transport.app import EngineApp
from streams.transport.bursts import After
from streams.transport.errors import StepLost
from streams.transport.owned import OwnedPartition

log = get("tierflow.worker")
Owned = Callable[[int], OwnedPartition]


class Report:
    """How an attempt says how far it is."""

    __slots__ = ("_attempt", "_hands")

    def __init__(self, hands: "WorkerHands", attempt: Attempt) -> None:
        self._hands, self._attempt = hands, attempt

    def __call__(self, percentage: int, stage: str | None, message: str | None) -> None:
        """A percentage, a stage, and a line for people."""
        self._hands.progressed(self._attempt, percentage, stage, message)


class WorkerHands:
    """Acts for the machine, which `serve` names before the first event."""

    def __init__(
        self, app: EngineApp, topology: Topology, tier: Tier, executor: Executor, recording: Recording,
        workbooks: Workbooks, metrics: WorkerMetrics, present: Callable[[], Time] = present,
    ) -> None:  # fmt: skip
        self._app, self._topology, self._tier = app, topology, tier
        self._executor, self._recording, self._workbooks = executor, recording, workbooks
        self._metrics, self._present = metrics, present
        self._machine: Machine
        self._owned: Owned
        # Made once: every job in flight refers to it.
        self._when_performed: After = self._performed

    def serve(self, machine: Machine, owned: Owned) -> None:
        """Whose hands these are; `owned` answers a partition that was opened here."""
        self._machine, self._owned = machine, owned

    # -- writing

    def write(self, entry: Entry, writes: Writes) -> None:
        """Everything in one step."""
        self._recording.write(entry, writes)

    def check_in(self, attempt: Attempt, writes: Writes) -> None:
        """Write, and tell the machine when it is committed."""
        step = self._recording.write(attempt.entry, writes)
        self._start(attempt, step.committed(), self._checked_in)

    def letter(self, entry: Entry, failure: Failure, now: int) -> DeadLetter:
        """The dead letter of a job, with the bytes of its tier record."""
        return self._recording.letter(entry, failure, now)

    def hold_type(self, entry: Entry, reason: str) -> None:
        """An order to every worker, which stands until somebody resumes the type."""
        job = entry.job
        log.error("type held: too many of its jobs died", queue=job.queue, type=job.type, reason=reason)
        self._metrics.held.labels(job.queue, job.type).inc()
        order = Control(PAUSE, job.queue, now_ms(), "tierflow", job.type, reason)
        with suppress(LookupError):  # the partition went: its next owner counts for itself
            self._recording.order(entry, order)

    # -- running

    def run(self, attempt: Attempt) -> None:
        """Start the handler in a task."""
        if attempt.lease is not None:
            self._metrics.rate_wait.labels(attempt.lease.group).observe(attempt.stood_s)
        work = self._executor.perform(attempt, Report(self, attempt))
        self._start(attempt, work, self._when_performed)

    def cancel(self, attempt: Attempt) -> None:
        """Ask the handler to stop."""
        self._executor.cancel(attempt)

    def stop(self, attempt: Attempt) -> None:
        """End its task, and with it the work of its thread, process or child process: somebody cancelled the
        job and it did not listen, or its slot at a provider may soon be another's."""
        why = attempt.cancel or "Kafka took no renewal of its slot at the provider"
        log.warning("a handler is stopped", job_id=attempt.entry.job.job_id, reason=why)
        self._executor.cancel(attempt)
        attempt.work.cancel()

    def closing(self, partition: int) -> None:
        """The partition goes: ask its handlers to stop."""
        self._executor.closing(partition)

    def ended(self, attempt: Attempt, result: Outcome) -> None:
        """Count it; an attempt that failed may have left its workbook half changed."""
        job = attempt.entry.job
        if attempt.ran and not isinstance(result, Completed):
            self._workbooks.forget(attempt.entry.partition, job.document_id or "")
        kind = (job.queue, job.type)
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
            case Cancelled():
                name = "cancelled"
        self._metrics.results.labels(*kind, name).inc()

    def progressed(self, attempt: Attempt, percentage: int, stage: str | None, message: str | None) -> None:
        """Its handler says how far it is."""
        self._machine.progressed(attempt, percentage, stage, message, self._present())

    # -- back-pressure

    def hold(self, partition: int, lane: Lane) -> None:
        """Fetch no more of the lane."""
        self._app.hold(self._topology.lane(self._tier, lane), partition)

    def release(self, partition: int, lane: Lane) -> None:
        """Fetch it again."""
        self._app.release(self._topology.lane(self._tier, lane), partition)

    # -- what becomes of tasks

    def _start(self, attempt: Attempt, work: Coroutine[Any, Any, Any], after: After) -> None:
        owned = self._owned(attempt.entry.partition)
        attempt.work = owned.start(work, after, attempt)
        if owned.is_closed:
            attempt.work.cancel()  # the engine has ended the others already

    def _checked_in(self, attempt: Attempt, _: None, error: BaseException | None) -> None:
        if error is None:
            self._machine.committed(attempt, self._present())
            return
        if not isinstance(error, StepLost | asyncio.CancelledError):
            log.error("a check-in failed", job_id=attempt.entry.job.job_id, error=repr(error))
        self._machine.lost(attempt, self._present())

    def _performed(
        self, attempt: Attempt, result: tuple[str, Carried] | None, error: BaseException | None
    ) -> None:
        if result is not None:
            self._machine.returned(attempt, *result, self._present())
        elif isinstance(error, asyncio.CancelledError):
            self._machine.stopped(attempt, self._present())
        elif error is not None:
            self._failed(attempt, error)

    def _failed(self, attempt: Attempt, error: BaseException) -> None:
        failure, retry_after_s = classify(error)
        entry = attempt.entry
        log.info(
            "attempt failed", job_id=entry.job.job_id, type=entry.job.type, attempt=entry.attempt,
            error_class=failure.error_class, error=failure.message,
        )  # fmt: skip
        self._machine.raised(attempt, failure, retry_after_s, self._present())
