"""Which offset comes next in each partition, as the target of a consumer says; pure bookkeeping."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

Place = tuple[str, int]
"""A topic and a partition number."""


class Move(NamedTuple):
    """A batch takes a partition from `expected` to `next`; whoever finds another position refuses it."""

    topic: str
    partition: int
    expected: int
    next: int


class Arrival(Enum):
    """What a record's offset means at its partition's position."""

    NEXT = auto()
    """It is to be written."""
    GAP = auto()
    """As NEXT, but it is the first one read and offsets before it are missing: markers, or loss."""
    BEHIND = auto()
    """It was written before, or the log begins anew."""
    FOREIGN = auto()
    """Its partition is not ours, or its position is not known yet."""


@dataclass(slots=True)
class Positions:
    """The assigned partitions: `placed` ones are read on from a known offset, `unplaced` ones not yet.

    A partition is placed by the target only, never by the group's committed offset: what the target holds is
    the truth about what was written.
    """

    placed: dict[Place, int] = field(default_factory=dict)
    unplaced: set[Place] = field(default_factory=set)
    _unread: set[Place] = field(default_factory=set)

    @property
    def assigned(self) -> list[Place]:
        """All partitions of ours."""
        return [*self.placed, *self.unplaced]

    def assign(self, places: Iterable[Place]) -> None:
        """These are ours from now on, with positions unknown."""
        for place in places:
            self.placed.pop(place, None)
            self.unplaced.add(place)

    def revoke(self, places: Iterable[Place]) -> None:
        """These are no longer ours."""
        for place in places:
            self.placed.pop(place, None)
            self.unplaced.discard(place)
            self._unread.discard(place)

    def place(self, place: Place, offset: int) -> None:
        """The partition is read from this offset on."""
        self.unplaced.discard(place)
        self.placed[place] = offset
        self._unread.add(place)

    def distrust(self, places: Iterable[Place]) -> list[Place]:
        """Forget these positions and return those that were placed."""
        found = [place for place in places if self.placed.pop(place, None) is not None]
        self.unplaced.update(found)
        return found

    def arrive(self, place: Place, offset: int, following: int | None = None) -> Arrival:
        """What a record that was read is. `following` comes after what is read already and not yet written.

        The position itself moves when the record is written.
        """
        position = self.placed.get(place)
        if position is None:
            return Arrival.FOREIGN
        first = place in self._unread
        self._unread.discard(place)
        if offset < (position if following is None else following):
            return Arrival.BEHIND
        return Arrival.GAP if first and offset > position else Arrival.NEXT

    def moved(self, moves: Iterable[Move]) -> None:
        """A batch was written."""
        for move in moves:
            place = (move.topic, move.partition)
            if place in self.placed:
                self.placed[place] = move.next

    def differing(self, found: dict[Place, int], among: Collection[Place]) -> list[Place]:
        """The placed partitions whose position in the target is not the one kept here."""
        return [p for p in among if p in self.placed and found.get(p, 0) != self.placed[p]]
