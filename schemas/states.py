"""The states of a job and the moves between them."""

from enum import StrEnum


class State(StrEnum):
    """Where a job stands. `failed` is short-lived: an attempt failed and another is due."""

    WAITING = "waiting"
    DELAYED = "delayed"
    BLOCKED = "blocked"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"
    DUPLICATE = "duplicate"


TERMINAL = frozenset({State.COMPLETED, State.DEAD, State.CANCELLED, State.DUPLICATE})

ALLOWED: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.ACTIVE, State.DELAYED, State.DUPLICATE, State.CANCELLED, State.DEAD}),
    State.DELAYED: frozenset({State.WAITING, State.ACTIVE, State.DUPLICATE, State.CANCELLED, State.DEAD}),
    State.BLOCKED: frozenset({State.WAITING, State.CANCELLED, State.DEAD}),
    # active -> active: a new owner runs it again after an interruption.
    State.ACTIVE: frozenset({State.ACTIVE, State.COMPLETED, State.FAILED, State.DEAD, State.CANCELLED}),
    State.FAILED: frozenset({State.DELAYED}),
    # Out of a terminal state only a new attempt series leads.
    State.COMPLETED: frozenset(),
    State.DEAD: frozenset(),
    State.CANCELLED: frozenset(),
    State.DUPLICATE: frozenset(),
}


def is_allowed(old: State, new: State) -> bool:
    """Whether a job may go from one state to another within an attempt series."""
    return new in ALLOWED[old]
