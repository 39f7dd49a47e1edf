"""The order of one partition: one job of a key at a time, in the order accepted, retries included.

Pure: it is told what happened and the time, and answers which jobs to park; the jobs that may start it hands
to `Ready`. What is parked it reads through `Rows`, never writes.

In memory is a key of which a job is ready, runs, or waits at a provider's gate, with some jobs behind it. All
else stands in the table and costs disk only: keys that wait for a retry or behind one, what is not due, what
waits at a gate, what a former owner left. Times, gates that open and a take-over give hints, a few at a time
and only while there is room; a hint makes a key look at its rows, and these decide.

As soon as one job of a key waits behind in the table, all of them stand there: a new owner finds the table
first and the rest only later on the topics, and would let the parked ones overtake.
"""

from collections import Counter
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from schemas.priorities import Lane
from schemas.records import Parked
from schemas.states import State
from streams.core.entry import Entry
from streams.core.gates import Gates, keeps_key
from streams.core.limits import Limits
from streams.core.ready import LANES, Ready
from streams.core.rows import ACTIVE, BEHIND, Cursor, Next, Rows, gate_prefix
from streams.core.timers import Timers

ALL_LANES = 4


@dataclass(slots=True)
class Key:
    """One ordering key: the job in front, and those behind it in memory.

    `parked`: jobs of it may wait behind in the table, none of them before `since`. `look`: other rows of it
    may be due or at an open gate by now.
    """

    front: Entry | None = None
    # None for most keys: there are as many as jobs in memory.
    behind: list[Entry] | None = None
    parked: bool = False
    look: bool = False
    since: bytes = b""

    def wait(self, entry: Entry) -> int:
        """One more waits behind; how many that are."""
        if self.behind is None:
            self.behind = []
        heappush(self.behind, entry)
        return len(self.behind)


@dataclass(frozen=True, slots=True)
class Park:
    """Write this entry to the table: until `due` (delayed), or in the row of its key (waiting).

    The job in front is told so, too, when others are parked behind it; it stays in front all the same.
    """

    entry: Entry
    state: State
    due: int = 0


class Scheduler:
    """The keys of one partition."""

    def __init__(
        self, partition: int, ready: Ready, rows: Rows, gates: Gates, limits: Limits, caps: Counter[str]
    ) -> None:
        self.partition, self._caps = partition, caps
        self._ready, self._rows, self._gates, self._limits = ready, rows, gates, limits
        self._keys: dict[bytes, Key] = {}
        self._now = 0
        self._loaded = [0] * len(Lane)
        self._loaded_bytes = [0] * len(Lane)
        self._timers = [Timers(rows, lane, limits.page) for lane in Lane]
        # Where there are rows of keys that are not in memory, lane by lane: hints come from here in turns.
        self._cursors: list[dict[bytes, Cursor]] = [{} for _ in Lane]
        self._begin(ACTIVE)
        self._begin(BEHIND)
        self._gated = set(rows.gates())
        for gate in self._gated:
            self.let_in(gate)

    def __len__(self) -> int:
        return len(self._keys) + sum(map(len, self._timers))

    def arrive(self, entry: Entry, now: int) -> list[Park]:
        """A job came from its topic: it becomes ready, waits in memory, or is to be parked."""
        now = self._at(now)
        not_before = entry.job.not_before or 0
        if not_before > now:
            self._timers[entry.lane].add(not_before, entry.position)
            return [Park(entry, State.DELAYED, not_before)]
        key = self._keys.get(entry.key)
        if key is None:
            if self._may_have_rows and self._rows.next_of(entry.key, now, self._gates.is_open).place:
                return [Park(entry, State.WAITING)]
            self._keys[entry.key] = key = Key()
            self._lead(key, entry)
            return []
        front = key.front
        assert front is not None
        if front.ready and not front.began and entry < front and not key.parked:
            self._step_back(key, front)
            self._lead(key, entry)
            return []
        is_full = key.wait(entry) > self._limits.key_share
        self._caps["key"] += is_full
        return self._park_all(key) if key.parked or is_full else []

    def confirm(self, entry: Entry) -> bool:
        """A ready job was taken: whether it may start. If not, another one of its key is ready instead."""
        self._unload(entry)
        key = self._keys[entry.key]
        if not key.look or entry.began:
            return True
        place = self._next(entry.key, key).place
        if place is None or place >= entry.position or not self._lead_row(key, place):
            return True
        if entry.step is None:
            key.look = True
        else:
            key.wait(entry)
        return False

    def finished(self, entry: Entry, now: int) -> None:
        """A job reached its end and has left the table; the next of its key becomes ready."""
        self._at(now)
        self._advance(entry.key)

    def retry(self, entry: Entry, due: int) -> list[Park]:
        """A job waits for its next attempt, its key with it; those behind it in memory are to be parked."""
        self._timers[entry.lane].add(due, entry.position)
        return self._leave(entry)

    def stands(self, entry: Entry, gate: str, now: int) -> list[Park]:
        """A job's row says now that it waits at a gate: its key waits with it, or goes on without it."""
        self._at(now)
        self._gated.add(gate)
        if entry.holds:
            return self._leave(entry)
        self._keys[entry.key].look = True
        self._advance(entry.key)
        return []

    def parked_behind(self, entry: Entry) -> list[Park]:
        """A job in front has its row and stays for long: those behind it, now and later, are to be parked."""
        key = self._keys[entry.key]
        parks = self._park_all(key)
        key.parked = True
        return parks

    def find(self, name: bytes, job_id: str) -> Entry | None:
        """A job of a key, if it is in memory."""
        key = self._keys.get(name)
        for entry in [key.front, *(key.behind or [])] if key is not None else []:
            if entry is not None and entry.job.job_id == job_id:
                return entry
        return None

    def withdrawn(self, entry: Entry, now: int) -> None:
        """A job that had not started ended, and has left the table: the next of its key may go on."""
        self._at(now)
        key = self._keys.get(entry.key)
        if key is None:
            self._hint(entry.key)
        elif key.front is entry:
            self._ready.discard(entry)
            self._gates.leave(entry)
            self._unload(entry)
            self._advance(entry.key)
        elif key.behind and entry in key.behind:
            key.behind.remove(entry)
            heapify(key.behind)

    def let_in(self, gate: str) -> None:
        """A gate is open, or there is room for more that wait at it: what stands there may go on."""
        if gate not in self._gated:
            return
        if not keeps_key(gate):
            for key in self._keys.values():
                key.look = True
        self._begin(gate_prefix(gate), gate)

    def has_rows_at(self, gate: str) -> bool:
        """Whether jobs may stand in the table at a gate."""
        return gate in self._gated

    def due(self, now: int) -> None:
        """Take in what is due or may go on by now, as far as there is room."""
        now = self._at(now)
        for lane in LANES:
            due = self._timers[lane].next_due
            if self._cursors[lane] or (due is not None and due <= now):
                self._take_in(lane, now)
        for gate in list(self._gated) if self._gated and not any(self._cursors) else ():
            prefix = gate_prefix(gate)
            if next(self._rows.index(prefix, prefix), None) is None:
                self._gated.discard(gate)

    def close(self) -> None:
        """The partition goes: nothing of it may start."""
        for key in self._keys.values():
            if key.front is not None:
                self._ready.discard(key.front)
        self._gates.forget(self.partition)
        self._keys.clear()
        for timers, cursors in zip(self._timers, self._cursors, strict=True):
            timers.clear()
            cursors.clear()

    @property
    def _may_have_rows(self) -> bool:
        """Whether the table may hold rows of keys that are not in memory."""
        return bool(self._gated) or any(self._cursors) or any(self._timers)

    def _at(self, now: int) -> int:
        """The time, which never goes back: what was due once is due for good, also when the clock is set."""
        self._now = max(self._now, now)
        return self._now

    # -- hints

    def _begin(self, family: bytes, gate: str | None = None) -> None:
        for lane in Lane:
            prefix = family + bytes([lane])
            self._cursors[lane][prefix] = Cursor(self._rows, prefix, gate)

    def _take_in(self, lane: Lane, now: int) -> None:
        """Hints from all sources in turns, so that a long one does not stop the others."""
        cursors, left = self._cursors[lane], self._limits.page
        sources: list[Cursor | Timers] = [*cursors.values(), self._timers[lane]]
        while sources and left > 0:
            for source in list(sources):
                if not self._has_room(lane):
                    return
                left -= 1
                wanted = source.gate is None or self._gates.lets_in(source.gate)
                name = source.next_key(now) if wanted else None
                if name is None:
                    sources.remove(source)
                else:
                    self._hint(name)
        for prefix, cursor in list(cursors.items()):
            if cursor.is_over or (cursor.gate is not None and not self._gates.lets_in(cursor.gate)):
                del cursors[prefix]

    def _hint(self, name: bytes) -> None:
        """Something of this key may be able to run."""
        key = self._keys.get(name)
        if key is not None:
            key.look = True
            return
        found = self._rows.next_of(name, self._now, self._gates.is_open)
        if found.place is not None:
            behind = self._rows.behind(name, b"").behind if found.holder else found.behind
            key = Key(parked=behind, look=found.more)
            if self._lead_row(key, found.place, holder=found.holder):
                self._keys[name] = key

    def _has_room(self, lane: Lane) -> bool:
        limits = self._limits
        return (
            self._loaded[lane] < limits.loaded
            and self._loaded_bytes[lane] < limits.loaded_bytes
            and sum(self._loaded) < ALL_LANES * limits.loaded  # a hint may bring a job of another lane
        )

    # -- keys

    def _lead(self, key: Key, entry: Entry) -> None:
        key.front = entry
        self._ready.add(entry)

    def _lead_row(self, key: Key, place: bytes, *, holder: bool = False) -> bool:
        """Bring the row at this place to the front; one that holds its key may still have to wait."""
        row = self._rows.row(place)
        if row is None or (holder and self._waits(row)):
            return False
        entry = Entry.restored(place, self.partition, row)
        entry.loaded = True
        self._loaded[entry.lane] += 1
        self._loaded_bytes[entry.lane] += len(row.job.data)
        if not holder:
            key.since = max(key.since, place)
        self._lead(key, entry)
        return True

    def _waits(self, row: Parked) -> bool:
        if row.gate is not None:
            return not self._gates.lets_in(row.gate)
        return row.state == State.DELAYED and row.due > self._now

    def _unload(self, entry: Entry) -> None:
        if entry.loaded:
            entry.loaded = False
            self._loaded[entry.lane] -= 1
            self._loaded_bytes[entry.lane] -= len(entry.job.data)

    def _step_back(self, key: Key, front: Entry) -> None:
        self._ready.discard(front)
        self._unload(front)
        if front.step is None:
            # It never left the table.
            key.parked = key.look = True
            key.since = min(key.since, front.position)
        else:
            key.wait(front)

    def _park_all(self, key: Key) -> list[Park]:
        behind, key.behind = sorted(key.behind or ()), None
        if not behind:
            return []
        key.parked = True
        key.since = min(key.since, behind[0].position)
        front = [key.front] if key.front is not None and key.front.step is not None else []
        return [Park(entry, State.WAITING) for entry in (*front, *behind)]

    def _leave(self, entry: Entry) -> list[Park]:
        """The job in front stands in the table and holds its key: nothing of it is needed here."""
        return self._park_all(self._keys.pop(entry.key))

    def _advance(self, name: bytes) -> None:
        key = self._keys[name]
        key.front = None
        place = self._next(name, key).place
        is_first = place is not None and not (key.behind and key.behind[0].position < place)
        if place is not None and is_first and self._lead_row(key, place):
            return
        if key.behind:
            self._lead(key, heappop(key.behind))
        else:
            del self._keys[name]

    def _next(self, name: bytes, key: Key) -> Next:
        """What the table has for this key; it is asked only when there may be something."""
        if key.look:
            found = self._rows.next_of(name, self._now, self._gates.is_open)
            key.parked, key.look = found.behind, found.more
        elif key.parked:
            found = self._rows.behind(name, key.since)
            key.parked = found.behind
        else:
            found = Next()
        return found
