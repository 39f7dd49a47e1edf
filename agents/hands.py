"""The hands of the core on the engine: steps, tasks, holds, and what is counted.

A task's end comes back to the machine as an event, also when it is cancelled before its first step.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from agents.document import Carried
from agents.executor import Executor, present
from agents.failures import classify
from agents.recording import Recording
from agents.spreadsheet.workbooks import Workbooks
from schemas.priorities import Lane
from schemas.records import DeadLetter, Failure
from schemas.tiers import Tier
from streams.core.attempt import Attempt
from streams.core.backoff import Dead, Retry
from streams.core.entry import Entry
from streams.core.machine import Machine
from streams.core.outcome import Completed, Duplicate, Outcome, Repeated, Writes
from streams.log import get
from streams.metrics import WorkerMetrics
from streams.topics import Topology
from streams.transport.app import EngineApp
from streams.transport.errors import StepLost
from streams.transport.owned import OwnedPartition

log = get("tierflow.worker")
Owned = Callable[[int], OwnedPartition]


class WorkerHands:
    """Acts for the machine, which `serve` names before the first event."""

    def __init__(
        self, app: EngineApp, topology: Topology, tier: Tier, executor: Executor, recording: Recording,
        workbooks: Workbooks, metrics: WorkerMetrics,
    ) -> None:  # fmt: skip
        self._app, self._topology, self._tier = app, topology, tier
        self._executor, self._recording, self._workbooks = executor, recording, workbooks
        self._metrics = metrics
        self._machine: Machine
        self._owned: Owned

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
        self._spawn(attempt, step.committed(), self._checked_in)

    def letter(self, entry: Entry, failure: Failure, now: int) -> DeadLetter:
        """The dead letter of a job, with the bytes of its tier record."""
        return self._recording.letter(entry, failure, now)

    # -- running

    def run(self, attempt: Attempt) -> None:
        """Start the handler in a task."""
        report = partial(self._progressed, attempt)
        self._spawn(attempt, self._executor.perform(attempt, report), self._performed)

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
        self._metrics.results.labels(*kind, name).inc()

    # -- back-pressure

    def hold(self, partition: int, lane: Lane) -> None:
        """Fetch no more of the lane."""
        self._app.hold(self._topology.lane(self._tier, lane), partition)

    def release(self, partition: int, lane: Lane) -> None:
        """Fetch it again."""
        self._app.release(self._topology.lane(self._tier, lane), partition)

    # -- what becomes of tasks

    def _spawn(
        self, attempt: Attempt, work: Any, then: Callable[[Attempt, "asyncio.Task[Any]"], None]
    ) -> None:
        owned = self._owned(attempt.entry.partition)
        task = owned.spawn(work)
        task.add_done_callback(partial(then, attempt))
        if owned.is_closed:
            task.cancel()  # the engine has ended the others already

    def _checked_in(self, attempt: Attempt, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            self._machine.lost(attempt, present())
            return
        match task.exception():
            case None:
                self._machine.committed(attempt, present())
            case StepLost():
                self._machine.lost(attempt, present())
            case error:
                log.error("a check-in failed", job_id=attempt.entry.job.job_id, error=repr(error))
                self._machine.lost(attempt, present())

    def _performed(self, attempt: Attempt, task: "asyncio.Task[tuple[str, Carried]]") -> None:
        if task.cancelled():
            self._machine.stopped(attempt, present())
            return
        error = task.exception()
        if error is None:
            text, carried = task.result()
            self._machine.returned(attempt, text, carried, present())
            return
        failure, retry_after_s = classify(error)
        entry = attempt.entry
        log.info(
            "attempt failed", job_id=entry.job.job_id, type=entry.job.type, attempt=entry.attempt,
            error_class=failure.error_class, error=failure.message,
        )  # fmt: skip
        self._machine.raised(attempt, failure, retry_after_s, present())

    def _progressed(self, attempt: Attempt, percentage: int, stage: str | None, message: str | None) -> None:
        self._machine.progressed(attempt, percentage, stage, message, present())
