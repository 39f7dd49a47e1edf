"""Which ready job runs next: lanes share the slots of a process, priorities and arrival decide within a lane.

Urgent jobs may use every slot, normal and bulk ones together 90 %, bulk ones 70 %, so that an urgent job
finds a slot however full the lanes below are; when several lanes have jobs they take turns 16 : 4 : 1 (stride
scheduling), so that a flood above never starves what is below.
"""

from heapq import heappop, heappush
from itertools import count

from schemas.priorities import Lane
from streams.core.entry import Entry

SHARE = {Lane.URGENT: 1.0, Lane.NORMAL: 0.9, Lane.BULK: 0.7}
STRIDE = {Lane.URGENT: 1, Lane.NORMAL: 4, Lane.BULK: 16}
AND_ABOVE = {lane: tuple(Lane)[: lane + 1] for lane in Lane}


class Ready:
    """The ready jobs of all partitions of a process, and how many run."""

    def __init__(self, slots: int) -> None:
        self._limits = {lane: max(1, int(slots * share)) for lane, share in SHARE.items()}
        # What runs in a lane and those below it: a flood above does not use up the share of a lane.
        self._used = dict.fromkeys(Lane, 0)
        self._heaps: dict[Lane, list[tuple[int, int, Entry]]] = {lane: [] for lane in Lane}
        self._passes = dict.fromkeys(Lane, 0)
        self._turn = 0
        self._arrivals = count()

    @property
    def running(self) -> int:
        """Jobs taken and not yet freed."""
        return self._used[Lane.URGENT]

    def add(self, entry: Entry) -> None:
        """From now on it may be taken."""
        entry.ready = True
        heappush(self._heaps[entry.lane], (-entry.job.priority, next(self._arrivals), entry))

    def discard(self, entry: Entry) -> None:
        """It may no longer be taken."""
        entry.ready = False

    def take(self) -> Entry | None:
        """The job that starts now, counted as running; None while there is none or no slot for it."""
        lanes = [lane for lane in Lane if self._head(lane) and self._has_slot(lane)]
        if not lanes:
            return None
        # A lane that was empty or at its limit has saved up no turns.
        turns = {lane: max(self._passes[lane], self._turn) for lane in lanes}
        lane = min(lanes, key=lambda lane: (turns[lane], lane))
        self._turn = turns[lane]
        self._passes[lane] = self._turn + STRIDE[lane]
        entry = heappop(self._heaps[lane])[2]
        entry.ready = False
        for place in AND_ABOVE[lane]:
            self._used[place] += 1
        return entry

    def free(self, entry: Entry) -> None:
        """A job that was taken gives its slot back."""
        for place in AND_ABOVE[entry.lane]:
            self._used[place] -= 1

    def _has_slot(self, lane: Lane) -> bool:
        return all(self._used[place] < self._limits[place] for place in AND_ABOVE[lane])

    def _head(self, lane: Lane) -> bool:
        heap = self._heaps[lane]
        while heap and not heap[0][2].ready:
            heappop(heap)
        return bool(heap)
