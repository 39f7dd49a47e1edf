"""A partition while it is ours: its order, and how much of each lane is held in memory.

When the partition goes and comes back, it is another one: what still runs from before belongs to the old one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.priorities import Lane
from streams.core.entry import Entry
from streams.core.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Limits:
    """`slots`: attempts at a time in the process. A lane of a partition with `full` jobs in memory is not
    fetched until it has only `room`; a key holds at most `key_share` jobs in memory behind its first (None:
    the scheduler's own figure)."""

    slots: int
    full: int = 2_500
    room: int = 1_250
    key_share: int | None = None


class Home:
    """`closing`: nothing more starts, what runs may end. `gone`: nothing counts any more."""

    __slots__ = ("_limits", "_release", "closing", "gone", "held", "in_memory", "partition", "scheduler")

    def __init__(
        self, partition: int, scheduler: Scheduler, limits: Limits, release: Callable[[int, Lane], None]
    ) -> None:
        self.partition, self.scheduler = partition, scheduler
        self.closing = self.gone = False
        self.in_memory = [0] * len(Lane)
        self.held: set[Lane] = set()
        self._limits, self._release = limits, release

    def close(self) -> None:
        """Nothing more starts."""
        if not self.closing:
            self.closing = True
            self.scheduler.close()

    def lose(self) -> None:
        """Nothing of it counts any more."""
        self.close()
        self.gone = True

    def took(self, entry: Entry) -> None:
        """The entry is in memory, on the account of its lane."""
        entry.counted = True
        self.in_memory[entry.lane] += 1

    def is_full(self, lane: Lane) -> bool:
        """Whether the lane is to be held now; it then counts as held."""
        if self.in_memory[lane] < self._limits.full or lane in self.held:
            return False
        self.held.add(lane)
        return True

    def left(self, entry: Entry) -> None:
        """The entry is in the table now, or at its end; a held lane with room goes on."""
        if not entry.counted:
            return
        entry.counted = False
        lane = entry.lane
        self.in_memory[lane] -= 1
        if lane in self.held and self.in_memory[lane] <= self._limits.room:
            self.held.discard(lane)
            if not self.gone:
                self._release(self.partition, lane)
