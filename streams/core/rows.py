"""The table `parked` as the scheduler reads it: where a row stands in the index, and which of a key is next.

Nothing of it is in memory: a key's order, what is due, what waits at a gate and what a former owner left are
questions to the index, each a few seeks, however many rows there are.
"""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from schemas.commands import is_command
from schemas.records import Parked
from schemas.states import State
from streams.core.ports import Tables

VERSION = 1
"""Of `entries_of`: a store with another one gets its index anew."""

# Families of entries; the row's own place follows each.
ACTIVE, BEHIND, DUE, GATE, KEY, JOB, MARK = b"a", b"b", b"d", b"g", b"k", b"j", b"m"
# Within a key, in the order in which they are looked at: what holds it, is due, is at a gate, waits behind.
_HOLDER, _DUE, _GATE, _BEHIND = b"\0", b"\1", b"\2", b"\3"
_AT_KIND, _END = 17, b"\xff"
LATEST = (1 << 63) - 1

IsOpen = Callable[[str], bool]


class Next(NamedTuple):
    """What a key's rows say: the place of the one that may run next, if any.

    A `holder` is the only one that may, now or later. `behind`: rows may wait behind. `more`: others may be
    due or wait at an open gate.
    """

    place: bytes | None = None
    holder: bool = False
    behind: bool = False
    more: bool = False


def entries_of(place: bytes, row: Parked) -> tuple[bytes, ...]:
    """The index entries of a row."""
    lane, due = place[16:17], time_bytes(row.due)
    if is_command(row.job):
        return (MARK + due,)
    if row.gate is not None:
        at = gate_prefix(row.gate) + lane + bytes([255 - row.job.priority]) + time_bytes(row.job.accepted_at)
        kind = _GATE + row.gate.encode() + b"\0"
    elif row.state == State.ACTIVE:
        at, kind = ACTIVE + lane, _HOLDER
    elif row.state == State.DELAYED:
        at, kind = DUE + lane + due, _DUE + due
    else:
        at, kind = BEHIND + lane, _BEHIND
    return at, KEY + place[:16] + (_HOLDER if row.holder else kind), job_entry(row.job.job_id)


def job_entry(job_id: str) -> bytes:
    """Where a job is found by its id; another one may stand there, too."""
    return JOB + blake2b(job_id.encode(), digest_size=8).digest()


def gate_prefix(gate: str) -> bytes:
    """What waits at a gate, by lane, priority and age."""
    return GATE + gate.encode() + b"\0"


def time_bytes(at: int) -> bytes:
    """A time whose bytes are in its order."""
    return min(max(0, at), LATEST).to_bytes(8, "big")


class Rows:
    """The rows of one partition."""

    __slots__ = ("_partition", "_tables")

    def __init__(self, tables: Tables, partition: int) -> None:
        self._tables, self._partition = tables, partition

    def row(self, place: bytes) -> Parked | None:
        """One row."""
        return self._tables.row(self._partition, place)

    def find(self, job_id: str) -> tuple[bytes, Parked] | None:
        """The row of a job, with its place."""
        prefix = job_entry(job_id)
        for _, place in self.index(prefix, prefix):
            row = self.row(place)
            if row is not None and row.job.job_id == job_id:
                return place, row
        return None

    def index(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Index entries with this prefix from `start` on, each with its row's place."""
        return self._tables.index(self._partition, start, prefix)

    def next_of(self, name: bytes, now: int, is_open: IsOpen) -> Next:
        """Which row of a key may run next: the one that holds it, else the first that waits for nothing."""
        best: bytes | None = None
        more = False
        start = prefix = KEY + name
        while (found := next(self.index(start, prefix), None)) is not None:
            entry, place = found
            kind = entry[_AT_KIND : _AT_KIND + 1]
            if kind == _HOLDER:
                return Next(place, holder=True, behind=True, more=True)
            if kind == _BEHIND:
                return Next(place if best is None else min(best, place), behind=True, more=more)
            if kind == _DUE:
                is_free, start = int.from_bytes(entry[_AT_KIND + 1 :], "big") <= now, prefix + _GATE
            else:
                is_free, start = is_open(entry[_AT_KIND + 1 : -1].decode()), entry[:-1] + b"\1"
            if is_free:
                best, more = place if best is None else min(best, place), True
        return Next(best, more=more)

    def behind(self, name: bytes, since: bytes) -> Next:
        """The same for a key of which rows only wait behind, none of them before `since`."""
        prefix = KEY + name + _BEHIND
        found = next(self.index(prefix + since, prefix), None)
        return Next() if found is None else Next(found[1], behind=True)

    def gates(self) -> Iterator[str]:
        """The gates at which anything waits."""
        start = GATE
        while (found := next(self.index(start, GATE), None)) is not None:
            name = found[0][1 : found[0].index(b"\0")]
            yield name.decode()
            start = GATE + name + b"\1"


class Cursor:
    """Goes once through a part of the index, from key to key: what stood there is met, what comes may be."""

    __slots__ = ("_at", "_prefix", "_rows", "gate")

    def __init__(self, rows: Rows, prefix: bytes, gate: str | None = None) -> None:
        self._rows, self._prefix, self.gate = rows, prefix, gate
        self._at: bytes | None = prefix

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self._at is None

    def next_key(self, now: int) -> bytes | None:
        """The next key; None at the end."""
        found = None if self._at is None else next(self._rows.index(self._at, self._prefix), None)
        if found is None:
            self._at = None
            return None
        entry, place = found
        # No place of this key goes on with a byte as high.
        self._at = entry + place[:16] + _END
        return place[:16]
