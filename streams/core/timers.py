"""What is due next in one lane: the soonest rows in memory, the later ones where they stand on disk."""

from heapq import heapify, heappop, heappush
from itertools import islice

from streams.core.rows import DUE, Rows, time_bytes

PAGES_KEPT = 2


class Timers:
    """A million delayed jobs are at most `PAGES_KEPT` pages here. What it says is a hint: the row decides."""

    __slots__ = ("_page", "_prefix", "_rest", "_rows", "_soon")

    gate = None

    def __init__(self, rows: Rows, lane: int, page: int) -> None:
        self._rows, self._page = rows, page
        self._prefix = DUE + bytes([lane])
        self._soon: list[tuple[int, bytes]] = []
        # Where the rows begin that are on disk only; None: there are none.
        self._rest: bytes | None = self._prefix

    def __bool__(self) -> bool:
        return bool(self._soon) or self._rest is not None

    def __len__(self) -> int:
        return len(self._soon)

    def add(self, due: int, place: bytes) -> None:
        """A row that is due then is being written."""
        if self._rest is not None and self._entry(due, place) >= self._rest:
            return
        heappush(self._soon, (due, place))
        if len(self._soon) > PAGES_KEPT * self._page:
            self._cut()

    @property
    def next_due(self) -> int | None:
        """When `next_key` has something to say, in ms since the epoch; 0 when only the disk knows."""
        if self._soon:
            return self._soon[0][0]
        return None if self._rest is None else 0

    @property
    def is_over(self) -> bool:
        """Never: others will be due."""
        return False

    def next_key(self, now: int) -> bytes | None:
        """A key of which a row is due now, each row once; None when none is."""
        if not self._soon and self._rest is not None:
            self._load()
        if self._soon and self._soon[0][0] <= now:
            return heappop(self._soon)[1][:16]
        return None

    def clear(self) -> None:
        """Nothing is due any more."""
        self._soon, self._rest = [], None

    def _load(self) -> None:
        assert self._rest is not None
        page = list(islice(self._rows.index(self._rest, self._prefix), self._page))
        begin = len(self._prefix)
        self._soon = [(int.from_bytes(entry[begin : begin + 8], "big"), place) for entry, place in page]
        heapify(self._soon)
        self._rest = page[-1][0] + page[-1][1] + b"\0" if len(page) == self._page else None

    def _cut(self) -> None:
        """Only the soonest stay: the others are read again."""
        self._soon.sort()
        self._rest = self._entry(*self._soon[self._page])
        del self._soon[self._page :]

    def _entry(self, due: int, place: bytes) -> bytes:
        return self._prefix + time_bytes(due) + place
