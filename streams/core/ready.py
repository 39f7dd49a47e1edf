"""Which ready job runs next: lanes share the slots of a process, priorities and arrival decide within a lane.

Urgent jobs may use every slot, normal and bulk ones together 90 %, bulk ones 70 %, so that an urgent job
finds a slot however full the lanes below are; when several lanes have jobs they take turns 16 : 4 : 1 (stride
scheduling), so that a flood above never starves what is below.
"""

from heapq import heappop, heappush
from itertools import count

from schemas.priorities import Lane
from streams.core.entry import Entry

# By lane, most urgent first.
SHARE = (1.0, 0.9, 0.7)
STRIDE = (1, 4, 16)
LANES = tuple(Lane)


class Ready:
    """The ready jobs of all partitions of a process, and how many run."""

    def __init__(self, slots: int) -> None:
        self._limits = [max(1, int(slots * share)) for share in SHARE]
        # What runs in a lane and those below it: a flood above does not use up the share of a lane.
        self._used = [0] * len(LANES)
        self._heaps: list[list[tuple[int, int, Entry]]] = [[] for _ in LANES]
        self._passes = [0] * len(LANES)
        self._turn = 0
        self._arrivals = count()

    @property
    def running(self) -> int:
        """Jobs taken and not yet freed."""
        return self._used[Lane.URGENT]

    @property
    def is_full(self) -> bool:
        """Whether jobs wait for a slot."""
        return any(self._head(lane) for lane in LANES)

    def add(self, entry: Entry) -> None:
        """From now on it may be taken."""
        entry.ready = True
        heappush(self._heaps[entry.lane], (-entry.job.priority, next(self._arrivals), entry))

    def discard(self, entry: Entry) -> None:
        """It may no longer be taken."""
        entry.ready = False

    def take(self) -> Entry | None:
        """The job that starts now, counted as running; None while there is none or no slot for it."""
        chosen, first = None, 0
        for lane in LANES:
            if not self._head(lane) or not self._has_slot(lane):
                continue
            # A lane that was empty or at its limit has saved up no turns.
            turn = max(self._passes[lane], self._turn)
            if chosen is None or turn < first:
                chosen, first = lane, turn
        if chosen is None:
            return None
        self._turn = first
        self._passes[chosen] = first + STRIDE[chosen]
        entry = heappop(self._heaps[chosen])[2]
        entry.ready = False
        self._count(chosen, 1)
        return entry

    def free(self, entry: Entry) -> None:
        """A job that was taken gives its slot back."""
        self._count(entry.lane, -1)

    def _count(self, lane: Lane, change: int) -> None:
        for place in range(lane + 1):
            self._used[place] += change

    def _has_slot(self, lane: Lane) -> bool:
        for place in range(lane + 1):  # noqa: SIM110 - asked twice a job: a generator takes longer than the rest
            if self._used[place] >= self._limits[place]:
                return False
        return True

    def _head(self, lane: Lane) -> bool:
        heap = self._heaps[lane]
        while heap and not heap[0][2].ready:
            heappop(heap)
        return bool(heap)
