"""What an attempt comes to, and every record and table change that follows from it.

The one place where it is decided what is written when a job changes its state. The worker's shell encodes and
sends it, all of it in one step.
"""

from dataclasses import dataclass, field
from typing import Any

from schemas.catalogue import JOB_TYPES
from schemas.keys import digest
from schemas.records import AttemptError, DeadLetter, Failure, IdempotencyEntry, Parked, Transition
from schemas.states import State, is_allowed
from streams.core.backoff import Dead, Retry
from streams.core.entry import Entry

DAY_MS = 24 * 3600 * 1000
RESULT_KEPT_BYTES = 1_000
MAX_INTERRUPTIONS = 5


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned; `result` is a JSON text, `carried` what it wrote besides, opaque to the core."""

    result: str
    carried: Any = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The key's effect happened before: this job is answered by that one's result."""

    of: str
    result: str | None


@dataclass(frozen=True, slots=True)
class Repeated:
    """This very job, handed in again after it had completed: nothing is said a second time."""


Outcome = Completed | Duplicate | Repeated | Retry | Dead


@dataclass(slots=True)
class Writes:
    """What one step writes for one job. `parked` None takes the job out of the table if it is there.

    `carried` goes out with a completed job only: what an attempt that failed wrote is dropped.
    """

    at: int
    transitions: list[Transition] = field(default_factory=list)
    parked: Parked | None = None
    idempotency: IdempotencyEntry | None = None
    dead_letter: DeadLetter | None = None
    carried: Any = None
    bad: list[str] = field(default_factory=list)


class Recorder:
    """Moves an entry through its states; refuses a move that the state machine does not have."""

    def __init__(self, entry: Entry, now: int) -> None:
        self.entry, self.now = entry, now
        self.writes = Writes(now)

    def move(self, state: State, **details: object) -> None:
        """One transition. An illegal one is noted, never applied."""
        entry = self.entry
        if not is_allowed(entry.state, state):
            self.writes.bad.append(f"{entry.state} -> {state}")
            return
        self.writes.transitions.append(
            Transition(entry.number, entry.state, state, entry.attempt, self.now, **details)  # type: ignore[arg-type]
        )
        entry.state = state
        entry.number += 1


def started(entry: Entry, now: int) -> Writes:
    """The job runs and its source offset is let go: it is checked in until its attempt must be over."""
    recorder = Recorder(entry, now)
    taken_over = entry.state is State.ACTIVE and entry.interruptions > 0
    recorder.move(State.ACTIVE, reason="interrupted" if taken_over else None)
    return _checked_in(recorder)


def progressed(entry: Entry, now: int, percentage: int, stage: str | None, message: str | None) -> Writes:
    """A running job says how far it is; its number is kept, so that a new owner counts on from it."""
    recorder = Recorder(entry, now)
    recorder.move(State.ACTIVE, progress=percentage, stage=stage, message=message)
    return _checked_in(recorder)


def _checked_in(recorder: Recorder) -> Writes:
    entry = recorder.entry
    deadline = recorder.now + entry.job.timeout_ms
    recorder.writes.parked = entry.parked(State.ACTIVE, holder=True, due=deadline)
    return recorder.writes


def delayed(entry: Entry, now: int, due: int) -> Writes:
    """A job that is not to run before `due`."""
    recorder = Recorder(entry, now)
    recorder.move(State.DELAYED, due=due)
    recorder.writes.parked = entry.parked(State.DELAYED, holder=False, due=due)
    return recorder.writes


def behind(entry: Entry) -> Writes:
    """A job that waits in the table behind another of its key; its state stays what it is."""
    return Writes(0, parked=entry.parked(State.WAITING, holder=False))


def completed(entry: Entry, outcome: Completed, now: int, started_at: int) -> Writes:
    """The end everyone hopes for."""
    recorder = _active(entry, now, started_at)
    recorder.move(State.COMPLETED, result=outcome.result, progress=100)
    recorder.writes.carried = outcome.carried
    job = entry.job
    if job.idempotency is not None:
        days = JOB_TYPES[job.type].idempotency_days if job.type in JOB_TYPES else 7
        kept = outcome.result if len(outcome.result.encode()) <= RESULT_KEPT_BYTES else None
        recorder.writes.idempotency = IdempotencyEntry(
            job.job_id, job.data_hash, State.COMPLETED, now + days * DAY_MS, kept
        )
    return recorder.writes


def duplicate(entry: Entry, outcome: Duplicate, now: int) -> Writes:
    """Answered without running."""
    recorder = Recorder(entry, now)
    recorder.move(State.DUPLICATE, duplicate_of=outcome.of, result=outcome.result)
    return recorder.writes


def retried(entry: Entry, failure: Failure, due: int, now: int, started_at: int) -> Writes:
    """The attempt failed and another is due."""
    recorder = _active(entry, now, started_at)
    recorder.move(State.FAILED, error=failure)
    note_failure(entry, failure, now, ran=True)
    recorder.move(State.DELAYED, due=due)
    entry.attempt += 1
    recorder.writes.parked = entry.parked(State.DELAYED, holder=True, due=due)
    return recorder.writes


def note_failure(entry: Entry, failure: Failure, now: int, *, ran: bool) -> None:
    """Keep the error of an attempt that ran, for the dead letter."""
    if ran:
        entry.failed(AttemptError(entry.attempt, now, failure.error_class, failure.message))


def dead(entry: Entry, failure: Failure, letter: DeadLetter, now: int, started_at: int | None) -> Writes:
    """No further attempt; `started_at` is None when the job never ran."""
    recorder = Recorder(entry, now) if started_at is None else _active(entry, now, started_at)
    recorder.move(State.DEAD, error=failure, reason=failure.error_class)
    recorder.writes.dead_letter = letter
    return recorder.writes


def _active(entry: Entry, now: int, started_at: int) -> Recorder:
    """A job that ended before it was written as active gets both transitions at once, each with its time."""
    recorder = Recorder(entry, started_at)
    if entry.state is not State.ACTIVE:
        recorder.move(State.ACTIVE)
    recorder.now = recorder.writes.at = now
    return recorder


def seen_before(
    entry: Entry, known: IdempotencyEntry | None, now: int
) -> Duplicate | Repeated | Failure | None:
    """What the table says when a job's turn comes: a duplicate, itself, a conflict, or nothing."""
    if known is None or known.expires_at <= now or known.state != State.COMPLETED:
        return None
    if known.job_id == entry.job.job_id:
        return Repeated()
    if known.data_hash != entry.job.data_hash:
        return Failure(
            "idempotency_conflict",
            f"job {known.job_id} completed under the same idempotency key with other data",
            retryable=False,
        )
    return Duplicate(known.job_id, known.result)


def fingerprint(kind: str | None, failure: Failure) -> str:
    """Groups dead letters of one cause: the type, the error's class, its message without numbers and ids.

    A word with a digit goes as a whole: without its digits the rest of a UUID would still tell letters apart.
    """
    words = failure.message.lower().split()
    stable = " ".join(word for word in words if not any(c.isdigit() or c in "-_@/" for c in word))
    return digest(kind or "", failure.error_class, stable[:200]).hex()
