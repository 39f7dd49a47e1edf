"""A job in a worker's hands, and its place in the order of its key."""

from functools import lru_cache
from typing import Any

from schemas.keys import digest
from schemas.priorities import Lane
from schemas.records import AttemptError, Job, Parked
from schemas.states import State

KEPT_ERRORS = 10
# Asked several times a job: finding a member by its value costs ten times as much.
_LANES = tuple(Lane)
# A document that somebody works on has many jobs in a short time.
KEPT = lru_cache(4_096)(digest)
LONGEST_KEPT = 100


def position(ordering_key: str, lane: int, offset: int) -> bytes:
    """The key of a parked job: one prefix scan over the first 16 bytes gives a key's jobs in their order."""
    key = KEPT(ordering_key) if len(ordering_key) <= LONGEST_KEPT else digest(ordering_key)
    return key + lane.to_bytes(1, "big") + offset.to_bytes(8, "big")


class Entry:
    """One job between its arrival and its end.

    `step` is the open step of its source record, None once the source offset is let go (the job is then in
    the table `parked`). `number` is that of the next transition, `state` that of the last. `counted`: its
    lane's intake answers for it; `loaded`: it was read from the table and has not started; `holds`: as the
    table has it, nothing of its key may overtake it. `gate`: where it waits in memory; `at`: where its row
    says that it waits; `passes`: the gate of its provider has let it through; `stood`: when it came there.
    `under_way`: its latest attempt. `checked_in`: that it runs is committed, and its handler has not started.
    """

    __slots__ = (
        "at", "attempt", "checked_in", "counted", "errors", "gate", "holds", "interruptions", "job", "loaded",
        "number", "partition", "passes", "position", "ready", "state", "step", "stood", "under_way",
    )  # fmt: skip

    def __init__(
        self, job: Job, position: bytes, partition: int, step: Any = None, attempt: int = 1, number: int = 1,
        state: State = State.WAITING, interruptions: int = 0, errors: tuple[AttemptError, ...] = (),
        holds: bool = False, at: str | None = None,
    ) -> None:  # fmt: skip
        self.job, self.position, self.partition, self.step = job, position, partition, step
        self.attempt, self.number, self.state, self.interruptions = attempt, number, state, interruptions
        self.errors = errors
        self.ready = self.counted = self.loaded = False
        self.holds = holds
        self.gate: str | None = None
        self.at = at
        self.passes = self.checked_in = False
        self.under_way: Any = None
        self.stood: float | None = None

    @property
    def key(self) -> bytes:
        """What stands for the ordering key."""
        return self.position[:16]

    @property
    def began(self) -> bool:
        """Whether an attempt of it was started or checked in: nothing of its key may overtake it then."""
        return self.holds or self.attempt > 1 or self.interruptions > 0 or self.state is State.ACTIVE

    @property
    def lane(self) -> Lane:
        """The lane whose topic it came by."""
        return _LANES[self.position[16]]

    def __lt__(self, other: "Entry") -> bool:
        return self.position < other.position

    def parked(self, state: State, *, holder: bool, due: int = 0, gate: str | None = None) -> Parked:
        """The entry as it is written to the table."""
        return Parked(
            job=self.job, lane=self.lane.value, state=state, holder=holder, attempt=self.attempt,
            next_number=self.number, due=due, interruptions=self.interruptions, errors=list(self.errors),
            gate=gate,
        )  # fmt: skip

    @classmethod
    def restored(cls, place: bytes, partition: int, parked: Parked) -> "Entry":
        """The entry that the table holds. One that ran there was interrupted, unless it waits at a gate."""
        ran = parked.state == State.ACTIVE and parked.gate is None
        return cls(
            parked.job, place, partition, None, parked.attempt, parked.next_number, State(parked.state),
            parked.interruptions + ran, tuple(parked.errors), holds=parked.holder, at=parked.gate,
        )  # fmt: skip

    def failed(self, error: AttemptError) -> None:
        """Remember a failed attempt: the first and the last ones."""
        kept = self.errors if len(self.errors) < KEPT_ERRORS else (self.errors[0], *self.errors[2:])
        self.errors = (*kept, error)
