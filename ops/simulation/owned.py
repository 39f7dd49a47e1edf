"""A partition in a process's hands: its view of the tables, its open and finished steps, what runs.

When the partition comes back it is a new one, as in the engine: the old one completes nothing any more.
"""

from dataclasses import dataclass, field

from ops.simulation.broker import Done, Partition, Record
from schemas.priorities import Lane
from schemas.records import IdempotencyEntry, Parked
from streams.core.attempt import Attempt
from streams.transport.tracker import Tracker


class Step:
    """The open step of a record: what `Entry.step` holds."""

    __slots__ = ("owned", "record")

    def __init__(self, owned: "Owned", record: Record) -> None:
        self.owned, self.record = owned, record


@dataclass(slots=True, eq=False)
class Execution:
    """A handler under way; `called` once it had its effect."""

    attempt: Attempt
    record: Record
    owned: "Owned"
    called: bool = False


@dataclass(slots=True, eq=False)
class Transaction:
    """What is under way to the broker. `outcome` is what became of it there, before the process knows."""

    parts: "list[tuple[Owned, list[Done], list[tuple[int, int]]]]"
    outcome: str = "open"


@dataclass(slots=True, eq=False)
class Owned:
    """One ownership of one partition by one process."""

    source: Partition
    rows: dict[bytes, Parked]
    known: dict[bytes, IdempotencyEntry]
    trackers: list[Tracker]
    closed: bool = False
    stopping: bool = False
    done: list[Done] = field(default_factory=list)
    held: set[Lane] = field(default_factory=set)
    open_steps: list[int] = field(default_factory=lambda: [0] * len(Lane))
    running: dict[bytes, Record] = field(default_factory=dict)
    begun: dict[bytes, Record] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    dues: dict[str, int] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """The partition's number."""
        return self.source.number

    @classmethod
    def taken(cls, source: Partition) -> "Owned":
        """What a new owner finds: the committed tables and positions."""
        trackers = [Tracker(lane.label, source.number, *source.positions[lane]) for lane in Lane]
        owned = cls(source, dict(source.rows), dict(source.known), trackers)
        for place, row in source.rows.items():
            record = source.by_position[place]
            if row.state == "active" and record.ran_here:
                record.interrupted += 1
            record.ran_here = False
            if row.holder:
                owned.begun[place[:16]] = record
                if row.state == "delayed":
                    owned.dues[record.name] = row.due
        return owned

    def positions(self) -> list[tuple[int, int]]:
        """The source positions as they stand."""
        return [(tracker.base, tracker.mask) for tracker in self.trackers]

    def take(self) -> list[Done]:
        """Everything that completed since the last transaction."""
        done, self.done = self.done, []
        return done
