"""A partition while it is ours: its order, and how much of each lane is held in memory.

When the partition goes and comes back, it is another one: what still runs from before belongs to the old one.
"""

from collections.abc import Callable

from schemas.priorities import Lane
from streams.core.cancels import Marks
from streams.core.entry import Entry
from streams.core.limits import Limits
from streams.core.rows import Rows
from streams.core.scheduler import Scheduler
from streams.core.sweep import Sweep


class Home:
    """`closing`: nothing more starts, what runs may end. `gone`: nothing counts any more.

    `suspects`: how many more jobs may have killed the last owner. `proved`: when the latest check-in was sent
    that is committed; the partition was ours then (steady). `marks`: the cancels that wait for their
    job. `sweeps`: the clears that go through the table.
    """

    __slots__ = (
        "_limits", "_release", "closing", "gone", "held", "in_memory", "marks", "partition", "proved", "rows",
        "scheduler", "suspects", "sweeps",
    )  # fmt: skip

    def __init__(
        self, partition: int, scheduler: Scheduler, rows: Rows, limits: Limits,
        release: Callable[[int, Lane], None],
    ) -> None:  # fmt: skip
        self.partition, self.scheduler, self.rows = partition, scheduler, rows
        self.marks = Marks(rows)
        self.sweeps: list[Sweep] = []
        self.closing = self.gone = False
        self.suspects = 0
        self.proved = float("-inf")
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

    def suspects_next(self) -> bool:
        """Whether the job whose turn it is may have killed the last owner."""
        if not self.suspects:
            return False
        self.suspects -= 1
        return True

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
