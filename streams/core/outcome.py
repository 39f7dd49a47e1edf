"""What an attempt comes to, and every record and table change that follows from it.

The one place where it is decided what is written when a job changes its state. The worker's shell encodes and
sends it, all of it in one step.
"""

from dataclasses import dataclass
from typing import Any

from schemas.catalogue import JOB_TYPES
from schemas.keys import digest
from schemas.records import AttemptError, DeadLetter, Failure, IdempotencyEntry, Job, Parked, Transition
from schemas.states import State, is_allowed
from streams.core.backoff import Dead, Retry
from streams.core.entry import Entry

DAY_MS = 24 * 3600 * 1000
RESULT_KEPT_BYTES = 1_000
# So long a series is known to have ended, and a dead or cancelled job's id to have been used.
SERIES_DAYS = 7
MAX_INTERRUPTIONS = 5


class Completed:
    """The handler returned; `result` is a JSON text, `carried` what it wrote besides, opaque to the core."""

    __slots__ = ("carried", "result")

    def __init__(self, result: str, carried: Any = None) -> None:
        self.result, self.carried = result, carried


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The key's effect happened before: this job is answered by that one's result."""

    of: str
    result: str | None


@dataclass(frozen=True, slots=True)
class Repeated:
    """This very job, handed in again after it had completed: nothing is said a second time."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody asked for its end: `says` who and why. `failure`: what the handler said when stopped."""

    says: str
    failure: Failure | None = None


Outcome = Completed | Duplicate | Repeated | Retry | Dead | Cancelled


class Writes:
    """What one step writes for one job. `parked` None takes the job out of the table if it is there.

    `idempotency` is what is known of the job's key from now on, `series` of this series of it (`series_key`).
    `carried` goes out with a completed job only: what an attempt that failed wrote is dropped.
    """

    __slots__ = ("at", "bad", "carried", "dead_letter", "idempotency", "parked", "series", "transitions")

    def __init__(self, at: int, parked: Parked | None = None) -> None:
        self.at, self.parked = at, parked
        self.transitions: list[Transition] = []
        self.idempotency: IdempotencyEntry | None = None
        self.series: IdempotencyEntry | None = None
        self.dead_letter: DeadLetter | None = None
        self.carried: Any = None
        self.bad: list[str] = []


class Recorder:
    """Moves an entry through its states; refuses a move that the state machine does not have."""

    __slots__ = ("entry", "now", "writes")

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


def at_gate(entry: Entry, gate: str, *, holder: bool) -> Writes:
    """A job whose turn has come at a gate that is closed; its state stays what it is."""
    return Writes(0, parked=entry.parked(entry.state, holder=holder, gate=gate))


def completed(entry: Entry, outcome: Completed, now: int, started_at: int) -> Writes:
    """The end everyone hopes for."""
    recorder = _active(entry, now, started_at)
    recorder.move(State.COMPLETED, result=outcome.result, progress=100)
    recorder.writes.carried = outcome.carried
    kept = outcome.result if len(outcome.result.encode()) <= RESULT_KEPT_BYTES else None
    return _remembered(recorder, None, kept)


def duplicate(entry: Entry, outcome: Duplicate, now: int) -> Writes:
    """Answered without running."""
    recorder = Recorder(entry, now)
    recorder.move(State.DUPLICATE, duplicate_of=outcome.of, result=outcome.result)
    _remember_series(recorder)
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


def dead(
    entry: Entry, failure: Failure, letter: DeadLetter, now: int, started_at: int | None,
    known: IdempotencyEntry | None = None,
) -> Writes:  # fmt: skip
    """No further attempt; `started_at` is None when the job never ran."""
    recorder = Recorder(entry, now) if started_at is None else _active(entry, now, started_at)
    recorder.move(State.DEAD, error=failure, reason=failure.error_class)
    recorder.writes.dead_letter = letter
    return _remembered(recorder, known)


def cancelled(
    entry: Entry, outcome: Cancelled, now: int, started_at: int | None = None,
    known: IdempotencyEntry | None = None,
) -> Writes:  # fmt: skip
    """Ended because somebody asked for it; `started_at` is None when this attempt never ran."""
    recorder = Recorder(entry, now) if started_at is None else _active(entry, now, started_at)
    recorder.move(State.CANCELLED, reason=outcome.says, error=outcome.failure)
    return _remembered(recorder, known)


def _remembered(recorder: Recorder, known: IdempotencyEntry | None, result: str | None = None) -> Writes:
    """How the job ended is known under its key, so that its id, handed in again, gets another series.

    Only a completed one makes others duplicates; what another job's effect left there stays.
    """
    entry, writes, now = recorder.entry, recorder.writes, recorder.now
    job, state = entry.job, entry.state
    _remember_series(recorder)
    taken = known is not None and known.job_id != job.job_id and is_effect(known, now)
    if job.idempotency is not None and not taken:
        days = JOB_TYPES[job.type].idempotency_days if job.type in JOB_TYPES else SERIES_DAYS
        if state is not State.COMPLETED:
            days = SERIES_DAYS
        writes.idempotency = IdempotencyEntry(
            job.job_id, job.data_hash, state, now + days * DAY_MS, result, job.series
        )
    return writes


def _remember_series(recorder: Recorder) -> None:
    entry, now = recorder.entry, recorder.now
    job = entry.job
    if job.series:
        recorder.writes.series = IdempotencyEntry(
            job.job_id, job.data_hash, entry.state, now + SERIES_DAYS * DAY_MS, None, job.series
        )


def series_key(job: Job) -> bytes:
    """Under which it is known that this series of a job has ended."""
    return digest("job", job.job_id, str(job.series))


def is_effect(known: IdempotencyEntry, now: int) -> bool:
    """Whether the key's effect happened and still counts."""
    return known.state == State.COMPLETED and known.expires_at > now


def is_repeat(entry: Entry, known: IdempotencyEntry | None, now: int) -> bool:
    """Whether this series of the job has ended before: a second request for it has no effect."""
    return known is not None and known.expires_at > now and known.series == entry.job.series


def following_series(job: Job, known: IdempotencyEntry | None, now: int) -> int:
    """The series of a job that is about to begin: the next one if its id ended and was handed in again."""
    if known is None or known.job_id != job.job_id or job.series or known.expires_at <= now:
        return job.series
    return job.series if known.state == State.COMPLETED else known.series + 1


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
    if known is None or not is_effect(known, now):
        return None
    if known.job_id == entry.job.job_id:
        # Another series of a job that has completed meanwhile has its answer, too.
        return Repeated() if entry.job.series <= known.series else Duplicate(known.job_id, known.result)
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
