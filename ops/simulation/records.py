"""What a lane and its tables hold: jobs with what became of them, and what a step did for one of them."""

from dataclasses import dataclass, field
from typing import Any

from schemas.priorities import Lane
from schemas.records import DeadLetter, IdempotencyEntry, Job, Parked, Transition
from schemas.states import State


@dataclass(slots=True, eq=False)
class Record:
    """A job on its lane, and what became of it as far as it is committed.

    `taken` counts the owners that found it checked in, `interrupted` those times when it had started, too.
    """

    name: str
    job: Job
    position: bytes
    lane: Lane
    offset: int
    partition: int
    state: str = State.WAITING
    number: int = 0
    attempt: int = 1
    ended: int = 0
    interrupted: int = 0
    taken: int = 0
    crashed: int = 0
    ran_here: bool = False
    stood: bool = False
    limited: bool = False
    suspect: bool = False
    result: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether a terminal state of it is committed."""
        return self.ended > 0


@dataclass(slots=True)
class Done:
    """What one step did for one job."""

    record: Record
    row: Parked | None
    row_removed: bool
    transitions: list[Transition]
    known: IdempotencyEntry | None
    letter: DeadLetter | None
    carried: Any
    check_in: Any
    job: Job
    series: IdempotencyEntry | None


@dataclass(slots=True)
class Partition:
    """One partition number: its lanes, its tables, its owner (any object; None: nobody yet).

    `effects` are the idempotency keys under which a job has completed, whatever the tables say of them.
    """

    number: int
    lanes: list[list[Record]] = field(default_factory=lambda: [[] for _ in Lane])
    positions: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0) for _ in Lane])
    rows: dict[bytes, Parked] = field(default_factory=dict)
    known: dict[bytes, IdempotencyEntry] = field(default_factory=dict)
    effects: set[bytes] = field(default_factory=set)
    by_position: dict[bytes, Record] = field(default_factory=dict)
    owner: Any = None
    is_marked: bool = False
