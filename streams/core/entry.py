"""A job in a worker's hands, and its place in the order of its key."""

from dataclasses import dataclass, field
from typing import Any

from schemas.keys import digest
from schemas.priorities import Lane
from schemas.records import AttemptError, Job, Parked
from schemas.states import State

KEPT_ERRORS = 10


def position(ordering_key: str, lane: int, offset: int) -> bytes:
    """The key of a parked job: one prefix scan over the first 16 bytes gives a key's jobs in their order."""
    return digest(ordering_key) + lane.to_bytes(1, "big") + offset.to_bytes(8, "big")


@dataclass(slots=True, eq=False)
class Entry:
    """One job between its arrival and its end.

    `step` is the open step of its source record, None once the source offset is let go (the job is then in
    the table `parked`). `number` is that of the next transition, `state` that of the last. `waits` is true
    while the time of its next attempt has not come, `counted` while its lane's intake answers for it.
    """

    job: Job
    position: bytes
    partition: int
    step: Any = None
    attempt: int = 1
    number: int = 1
    state: State = State.WAITING
    interruptions: int = 0
    errors: list[AttemptError] = field(default_factory=list)
    ready: bool = False
    waits: bool = False
    counted: bool = False

    @property
    def key(self) -> bytes:
        """What stands for the ordering key."""
        return self.position[:16]

    @property
    def began(self) -> bool:
        """Whether an attempt of it was started before: nothing of its key may overtake it then."""
        return self.attempt > 1 or self.interruptions > 0

    @property
    def lane(self) -> Lane:
        """The lane whose topic it came by."""
        return Lane(self.position[16])

    def __lt__(self, other: "Entry") -> bool:
        return self.position < other.position

    def parked(self, state: State, *, holder: bool, due: int = 0) -> Parked:
        """The entry as it is written to the table."""
        return Parked(
            job=self.job, lane=self.lane.value, state=state, holder=holder, attempt=self.attempt,
            next_number=self.number, due=due, interruptions=self.interruptions, errors=self.errors,
        )  # fmt: skip

    @classmethod
    def restored(cls, place: bytes, partition: int, parked: Parked) -> "Entry":
        """The entry that the table holds."""
        return cls(
            parked.job, place, partition, None, parked.attempt, parked.next_number, State(parked.state),
            parked.interruptions, list(parked.errors),
        )  # fmt: skip

    def failed(self, error: AttemptError) -> None:
        """Remember a failed attempt: the first and the last ones."""
        self.errors.append(error)
        if len(self.errors) > KEPT_ERRORS:
            del self.errors[1]
