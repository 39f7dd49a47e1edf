"""One attempt of one job: from its turn to the outcome that is written.

The rules: what is known already is answered without running; an attempt with a check-in starts only when this
is committed, and at once; one that runs for long lets its source offset go.
"""

from typing import Any

from schemas.catalogue import JOB_TYPES
from schemas.records import Failure, IdempotencyEntry
from schemas.states import State
from streams.core import outcome
from streams.core.backoff import Dead, Retry
from streams.core.entry import Entry
from streams.core.home import Home
from streams.core.leases import Lease
from streams.core.outcome import Cancelled, Completed, Duplicate, Outcome, Writes
from streams.core.ports import Hands, Time

# A job that runs longer than this lets its source offset go, so that others' offsets can be committed.
LONG_RUNNING_S = 0.1
# Of a loop that is behind, from the handler's start to the end that the core hears of: its start, its timer,
# its task's next step.
TURNS = 3
LONG_AT_LATEST_S = 1.0
# Ownership was proved when a check-in was committed; a call may start no later than this after it was sent.
CHECK_IN_VALID_S = 2.0
PROGRESS_EVERY_S = 0.5
_NEVER = float("-inf")
UNKNOWN_OUTCOME = "unknown_outcome"
"""The error class of jobs that a person must look at."""


class Attempt:
    """One execution under way.

    `began` is when its turn came (wall), `sent` when its check-in was written, `since` when its handler was
    started (steady). `cancel`: who asked for its end, and why. `work` belongs to the shell. `lease` is what
    it runs on when its provider is limited, for which it waited `stood_s`. `over`: nothing that comes from it
    counts any more.
    """

    __slots__ = (
        "began", "cancel", "entry", "home", "lease", "lease_lost", "over", "ran", "said_at", "sent", "since",
        "stage", "stood_s", "work",
    )  # fmt: skip

    def __init__(self, entry: Entry, home: Home, began: int) -> None:
        self.entry, self.home, self.began = entry, home, began
        self.sent = self.since = self.stood_s = 0.0
        self.said_at = _NEVER
        self.ran = self.over = self.lease_lost = False
        self.stage: str | None = None
        self.cancel: str | None = None
        self.lease: Lease | None = None
        self.work: Any = None


def answer(entry: Entry, known: IdempotencyEntry | None, now: int) -> Outcome | None:
    """What is known without running it.

    Interrupted too often; done before; its key in other use; or its effect may have happened, and a person
    is to look first.
    """
    if entry.interruptions >= outcome.MAX_INTERRUPTIONS:
        message = f"its worker went away {entry.interruptions} times while it ran"
        return Dead(Failure("interrupted", message, retryable=False))
    seen = None if known is None else outcome.seen_before(entry, known, now)
    if seen is None and was_interrupted(entry) and parks_unknown(entry.job.type):
        message = f"attempt {entry.attempt} was interrupted: its effect may have happened"
        seen = Failure(UNKNOWN_OUTCOME, message, retryable=False)
    return Dead(seen) if isinstance(seen, Failure) else seen


def was_interrupted(entry: Entry) -> bool:
    """Whether an attempt of it was checked in and nobody knows what became of it."""
    return entry.interruptions > 0 and entry.state is State.ACTIVE


def parks_unknown(kind: str) -> bool:
    """Whether jobs of this type whose effect may have happened wait for a person."""
    job_type = JOB_TYPES.get(kind)
    return job_type is not None and job_type.on_unknown == "park"


def must_check_in(entry: Entry) -> bool:
    """Whether it may start only when its check-in is committed.

    An interrupted one must in any case: else the interruptions of a job that kills its worker are not kept.
    """
    job_type = JOB_TYPES.get(entry.job.type)
    return entry.interruptions > 0 or (job_type is not None and job_type.check_in)


def is_valid(attempt: Attempt, time: Time) -> bool:
    """Whether committed check-ins still prove that the partition is ours: we may have been stopped since."""
    return time.steady - attempt.home.proved <= CHECK_IN_VALID_S


def is_checked_in(attempt: Attempt, time: Time) -> bool:
    """Whether its row says already that it runs, and the partition is still ours."""
    entry = attempt.entry
    return entry.checked_in and entry.at is None and is_valid(attempt, time)


def is_long(attempt: Attempt, time: Time, behind_s: float) -> bool:
    """Whether it has been running long enough to let its source offset go.

    Some turns of a loop that is `behind_s` are not the handler's time: it may have ended, unheard.
    """
    return time.steady - attempt.since >= min(LONG_RUNNING_S + TURNS * behind_s, LONG_AT_LATEST_S)


def may_report(attempt: Attempt, stage: str | None, time: Time) -> bool:
    """At most a record every half second, but one for every new stage.

    None before it is written as running.
    """
    if attempt.entry.state is not State.ACTIVE or attempt.entry.step is not None:
        return False
    return stage != attempt.stage or time.steady - attempt.said_at >= PROGRESS_EVERY_S


def writes_of(
    attempt: Attempt, result: Outcome, now: int, hands: Hands, known: IdempotencyEntry | None = None
) -> Writes:
    """Everything that an outcome writes; moves the entry to its new state. `known`: of the job's key."""
    entry = attempt.entry
    began = attempt.began if attempt.ran else None
    match result:
        case Completed():
            return outcome.completed(entry, result, now, attempt.began)
        case Retry():
            return outcome.retried(entry, result.failure, result.due, now, attempt.began)
        case Duplicate():
            return outcome.duplicate(entry, result, now)
        case Dead():
            outcome.note_failure(entry, result.failure, now, ran=attempt.ran)
            letter = hands.letter(entry, result.failure, now)
            return outcome.dead(entry, result.failure, letter, now, began, known)
        case Cancelled():
            return outcome.cancelled(entry, result, now, began, known)
    return Writes(now)
