"""A partition in a process's hands: its view of the tables, its open and finished steps, what runs.

When the partition comes back it is a new one, as in the engine: the old one completes nothing any more.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from ops.simulation.limits.provider import Call
from ops.simulation.records import Done, Partition, Record
from schemas.priorities import Lane
from schemas.records import IdempotencyEntry, Parked
from streams.core.attempt import Attempt
from streams.core.rows import entries_of
from streams.transport.tracker import Tracker


class Step:
    """The open step of a record: what `Entry.step` holds."""

    __slots__ = ("owned", "record")

    def __init__(self, owned: "Owned", record: Record) -> None:
        self.owned, self.record = owned, record


@dataclass(slots=True, eq=False)
class Execution:
    """A handler under way; `called` once it had its effect, `killed` once its task was cancelled.

    `call` is what a provider with a limit sees of it.
    """

    attempt: Attempt
    record: Record
    owned: "Owned"
    called: bool = False
    asked_at: float | None = None
    killed: bool = False
    call: Call | None = None

    def hang_up(self) -> None:
        """Its provider sees it no longer."""
        if self.call is not None:
            self.call.ended = True


@dataclass(slots=True, eq=False)
class Transaction:
    """What is under way to the broker. `outcome` is what became of it there, before the process knows.

    It may be committed once it has `reached` the broker.
    """

    parts: "list[tuple[Owned, list[Done], list[tuple[int, int]]]]"
    outcome: str = "open"
    reached: bool = True


@dataclass(slots=True, eq=False)
class Owned:
    """One ownership of one partition by one process.

    `dues` says when jobs may run, `asked` when the retry of an attempt that failed is to be due;
    `suspects` ran when an owner died, and are not checked in since.
    """

    source: Partition
    rows: dict[bytes, Parked]
    known: dict[bytes, IdempotencyEntry]
    effects: set[bytes]
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
    asked: dict[str, int] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)
    started: set[tuple[str, int]] = field(default_factory=set)
    suspects: set[str] = field(default_factory=set)
    proved: float = float("-inf")
    turned: set[Attempt] = field(default_factory=set)
    cancels: dict[str, int] = field(default_factory=dict)
    _listed: list[tuple[bytes, int]] | None = None

    @property
    def number(self) -> int:
        """The partition's number."""
        return self.source.number

    @classmethod
    def taken(cls, source: Partition) -> "Owned":
        """What a new owner finds: the committed tables and positions."""
        trackers = [Tracker(lane.label, source.number, *source.positions[lane]) for lane in Lane]
        owned = cls(source, dict(source.rows), dict(source.known), set(source.effects), trackers)
        for place, record in source.by_position.items():
            row = source.rows.get(place)
            if record.ran_here and not record.is_over:
                record.crashed += source.is_marked
                record.suspect |= source.is_marked
                record.interrupted += row is not None and row.state == "active"
            record.ran_here = False
            if record.suspect:
                owned.suspects.add(record.name)
        for place, row in source.rows.items():
            record = source.by_position[place]
            record.taken += row.state == "active" and row.gate is None
            if row.holder:
                owned.begun[place[:16]] = record
                if row.state == "delayed":
                    owned.dues[record.name] = row.due
        return owned

    def put(self, place: bytes, row: Parked) -> None:
        """A row is written."""
        self.rows[place], self._listed = row, None

    def remove(self, place: bytes) -> None:
        """A row is gone."""
        self.rows.pop(place, None)
        self._listed = None

    def index(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The index of the rows, as the engine keeps it."""
        if self._listed is None:
            self._listed = sorted(
                (entry + place, len(entry))
                for place, row in self.rows.items()
                for entry in entries_of(place, row)
            )
        for at in range(bisect_left(self._listed, (max(start, prefix), 0)), len(self._listed)):
            stored, length = self._listed[at]
            if not stored.startswith(prefix):
                return
            yield stored[:length], stored[length:]

    def positions(self) -> list[tuple[int, int]]:
        """The source positions as they stand."""
        return [(tracker.base, tracker.mask) for tracker in self.trackers]

    def take(self) -> list[Done]:
        """Everything that completed since the last transaction."""
        done, self.done = self.done, []
        return done
