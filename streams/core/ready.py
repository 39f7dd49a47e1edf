"""Which ready job runs next: lanes share the slots of a process, priorities and arrival decide within a lane.

Urgent jobs may use every slot, normal ones 90 %, bulk ones 70 %; when several lanes have jobs they take turns
16 : 4 : 1 (stride scheduling), so that a flood above never starves what is below.
"""

from heapq import heappop, heappush
from itertools import count

from schemas.priorities import Lane
from streams.core.entry import Entry

SHARE = {Lane.URGENT: 1.0, Lane.NORMAL: 0.9, Lane.BULK: 0.7}
STRIDE = {Lane.URGENT: 1, Lane.NORMAL: 4, Lane.BULK: 16}


class Ready:
    """The ready jobs of all partitions of a process, and how many run."""

    def __init__(self, slots: int) -> None:
        self.running = 0
        self._limits = {lane: max(1, int(slots * share)) for lane, share in SHARE.items()}
        self._heaps: dict[Lane, list[tuple[int, int, Entry]]] = {lane: [] for lane in Lane}
        self._passes = dict.fromkeys(Lane, 0)
        self._arrivals = count()

    def add(self, entry: Entry) -> None:
        """From now on it may be taken."""
        entry.ready = True
        heap = self._heaps[entry.lane]
        if not heap:
            # A lane that was empty has saved up no turns.
            others = [self._passes[lane] for lane in Lane if self._heaps[lane]]
            self._passes[entry.lane] = max(self._passes[entry.lane], min(others, default=0))
        heappush(heap, (-entry.job.priority, next(self._arrivals), entry))

    def discard(self, entry: Entry) -> None:
        """It may no longer be taken."""
        entry.ready = False

    def take(self) -> Entry | None:
        """The job that starts now, counted as running; None while there is none or no slot for it."""
        lanes = [lane for lane in Lane if self.running < self._limits[lane] and self._head(lane)]
        if not lanes:
            return None
        lane = min(lanes, key=lambda lane: (self._passes[lane], lane))
        self._passes[lane] += STRIDE[lane]
        entry = heappop(self._heaps[lane])[2]
        entry.ready = False
        self.running += 1
        return entry

    def free(self) -> None:
        """A running job gave its slot back."""
        self.running -= 1

    def _head(self, lane: Lane) -> bool:
        heap = self._heaps[lane]
        while heap and not heap[0][2].ready:
            heappop(heap)
        return bool(heap)
