"""One attempt of one job: from its turn to the outcome that is written.

The rules: what is known already is answered without running; an attempt with a check-in starts only when this
is committed, and at once; one that runs for long lets its source offset go.
"""

from dataclasses import dataclass
from typing import Any

from schemas.catalogue import JOB_TYPES
from schemas.records import Failure, IdempotencyEntry
from schemas.states import State
from streams.core import outcome
from streams.core.backoff import Dead, Retry
from streams.core.entry import Entry
from streams.core.home import Home
from streams.core.outcome import Completed, Duplicate, Outcome, Writes
from streams.core.ports import Hands, Time

# A job that runs longer than this lets its source offset go, so that others' offsets can be committed.
LONG_RUNNING_S = 0.1
# Ownership was proved when the check-in was committed; a call may start no later than this after it was sent.
CHECK_IN_VALID_S = 2.0
PROGRESS_EVERY_S = 0.5


@dataclass(slots=True, eq=False)
class Attempt:
    """One execution under way.

    `began` is when its turn came (wall), `sent` when its check-in was written, `since` when its handler was
    started (steady). `work` belongs to the shell. `over`: nothing that comes from it counts any more.
    """

    entry: Entry
    home: Home
    began: int
    sent: float = 0.0
    since: float = 0.0
    ran: bool = False
    over: bool = False
    stage: str | None = None
    said_at: float = float("-inf")
    work: Any = None


def answer(entry: Entry, known: IdempotencyEntry | None, now: int) -> Outcome | None:
    """What is known without running it: interrupted too often, done before, or its key in other use."""
    if entry.interruptions >= outcome.MAX_INTERRUPTIONS:
        message = f"its worker went away {entry.interruptions} times while it ran"
        return Dead(Failure("interrupted", message, retryable=False))
    if known is None:
        return None
    seen = outcome.seen_before(entry, known, now)
    return Dead(seen) if isinstance(seen, Failure) else seen


def must_check_in(entry: Entry) -> bool:
    """Whether it may start only when its check-in is committed.

    An interrupted one must in any case: else the interruptions of a job that kills its worker are not kept.
    """
    job_type = JOB_TYPES.get(entry.job.type)
    return entry.interruptions > 0 or (job_type is not None and job_type.check_in)


def is_valid(attempt: Attempt, time: Time) -> bool:
    """Whether a committed check-in still proves that the job is ours: we may have been stopped since."""
    return time.steady - attempt.sent <= CHECK_IN_VALID_S


def is_long(attempt: Attempt, time: Time) -> bool:
    """Whether it has been running long enough to let its source offset go."""
    return time.steady - attempt.since >= LONG_RUNNING_S


def may_report(attempt: Attempt, stage: str | None, time: Time) -> bool:
    """At most a record every half second, but one for every new stage.

    None for a job that is not checked in yet: it runs for less than `LONG_RUNNING_S` so far.
    """
    if attempt.entry.state is not State.ACTIVE or attempt.entry.step is not None:
        return False
    return stage != attempt.stage or time.steady - attempt.said_at >= PROGRESS_EVERY_S


def writes_of(attempt: Attempt, result: Outcome, now: int, hands: Hands) -> Writes:
    """Everything that an outcome writes; moves the entry to its new state."""
    entry = attempt.entry
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
            return outcome.dead(entry, result.failure, letter, now, attempt.began if attempt.ran else None)
    return Writes(now)
