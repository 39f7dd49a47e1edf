"""The order of one partition: one job of a key at a time, in the order accepted, retries included.

Pure: it is told what happened and the time, and answers which jobs to park; the jobs that may start it hands
to `Ready`. What is parked it reads through `ParkedView`, never writes.

A key is free, or one job of it is ready, running, or waiting for its retry. The jobs behind stand in memory
while the one in front runs, and in the table when it waits or when they are too many. As soon as one job of a
key waits in the table, all of them stand there: a new owner finds the table first and the rest only later on
the topics, and would let the parked ones overtake.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from schemas.records import Parked
from schemas.states import State
from streams.core.entry import Entry
from streams.core.ready import Ready

KEY_SHARE = 100
ParkedView = Callable[[bytes], Iterator[tuple[bytes, Parked]]]


@dataclass(slots=True)
class Key:
    """One ordering key: the job in front, those behind it in memory, and how many more stand parked."""

    front: Entry | None = None
    behind: list[Entry] = field(default_factory=list)
    parked: int = 0


@dataclass(frozen=True, slots=True)
class Park:
    """Write this entry to the table: until `due` (delayed), or in the row of its key (waiting).

    The job in front is told so, too, when others are parked behind it; it stays in front all the same.
    """

    entry: Entry
    state: State
    due: int = 0


class Scheduler:
    """The keys of one partition. `view(prefix)` gives the parked jobs of a key in their order."""

    def __init__(self, partition: int, ready: Ready, view: ParkedView, key_share: int | None = None) -> None:
        self.partition = partition
        self._key_share = KEY_SHARE if key_share is None else key_share
        self._ready = ready
        self._view = view
        self._keys: dict[bytes, Key] = {}
        self._timed: list[tuple[int, bytes, Entry | None]] = []
        self._now = 0

    def __len__(self) -> int:
        return len(self._keys) + len(self._timed)

    def arrive(self, entry: Entry, now: int) -> list[Park]:
        """A job came from its topic: it becomes ready, waits in memory, or is to be parked."""
        now = self._at(now)
        not_before = entry.job.not_before or 0
        if not_before > now:
            heappush(self._timed, (not_before, entry.position, None))
            return [Park(entry, State.DELAYED, not_before)]
        key = self._keys.setdefault(entry.key, Key())
        front = key.front
        if front is None and not key.parked:
            self._lead(key, entry)
        elif key.parked or (front and front.waits) or len(key.behind) >= self._key_share:
            heappush(key.behind, entry)
            return self._park_all(key)
        elif front and front.ready and not front.began and entry < front:
            self._step_back(key, front)
            self._lead(key, entry)
        else:
            heappush(key.behind, entry)
        return []

    def restore(self, place: bytes, parked: Parked) -> None:
        """A parked job was found at the take-over of the partition; `settle` follows the last one.

        Nothing is ready before that: until then the partition is not open.
        """
        key = self._keys.setdefault(place[:16], Key())
        if parked.holder:
            entry = Entry.restored(place, self.partition, parked)
            key.front, entry.waits = entry, parked.state == State.DELAYED
            if entry.waits:
                heappush(self._timed, (parked.due, place, entry))
            else:
                entry.interruptions += 1
        elif parked.state == State.DELAYED:
            heappush(self._timed, (parked.due, place, None))
        else:
            key.parked += 1

    def settle(self, now: int) -> None:
        """After the last `restore`: what was interrupted goes on, keys that nobody holds take their turn."""
        for key in self._keys.values():
            if key.front is not None and not key.front.waits:
                self._ready.add(key.front)
        self.due(now)
        for name, key in list(self._keys.items()):
            if key.front is None:
                self._advance(name, key)

    def finished(self, entry: Entry, now: int) -> None:
        """A job reached its end and has left the table; the next of its key becomes ready."""
        # What is due by now is counted first: the table shows it, and it may be the next.
        self.due(now)
        key = self._keys[entry.key]
        key.front = None
        self._advance(entry.key, key)

    def retry(self, entry: Entry, due: int) -> list[Park]:
        """A job waits for its next attempt, its key with it; those behind it in memory are to be parked."""
        entry.waits = True
        heappush(self._timed, (due, entry.position, entry))
        return self._park_all(self._keys[entry.key])

    def due(self, now: int) -> None:
        """What waited until now takes its turn."""
        now = self._at(now)
        while self._timed and self._timed[0][0] <= now:
            _, place, holder = heappop(self._timed)
            if holder is not None:
                holder.waits = False
                self._ready.add(holder)
                continue
            key = self._keys.setdefault(place[:16], Key())
            key.parked += 1
            if key.front is None:
                self._advance(place[:16], key)

    @property
    def next_due(self) -> int | None:
        """When `due` has something to do, in ms since the epoch."""
        return self._timed[0][0] if self._timed else None

    def close(self) -> None:
        """The partition goes: nothing of it may start."""
        for key in self._keys.values():
            if key.front is not None:
                self._ready.discard(key.front)
        self._keys.clear()
        self._timed.clear()

    def _at(self, now: int) -> int:
        """The time, which never goes back: what was due once is due for good, also when the clock is set."""
        self._now = max(self._now, now)
        return self._now

    def _lead(self, key: Key, entry: Entry) -> None:
        key.front = entry
        self._ready.add(entry)

    def _step_back(self, key: Key, front: Entry) -> None:
        self._ready.discard(front)
        if front.step is None:
            key.parked += 1  # it never left the table
        else:
            heappush(key.behind, front)

    def _park_all(self, key: Key) -> list[Park]:
        behind, key.behind = sorted(key.behind), []
        key.parked += len(behind)
        front = [key.front] if behind and key.front is not None and key.front.step is not None else []
        return [Park(entry, State.WAITING) for entry in (*front, *behind)]

    def _advance(self, name: bytes, key: Key) -> None:
        parked = self._first_parked(name) if key.parked else None
        if parked is not None and not (key.behind and key.behind[0] < parked):
            key.parked -= 1
            self._lead(key, parked)
        elif key.behind:
            self._lead(key, heappop(key.behind))
        elif not key.parked:
            del self._keys[name]

    def _first_parked(self, name: bytes) -> Entry | None:
        for place, parked in self._view(name):
            if parked.state == State.WAITING or parked.due <= self._now:
                return Entry.restored(place, self.partition, parked)
        return None
