"""A clear on its way through the table: every job that waits there is looked at once, a few at a time."""

from collections.abc import Iterator
from itertools import islice

from schemas.records import Control, Parked
from schemas.states import State
from streams.core.orders import clears
from streams.core.rows import BEHIND, DUE, GATE, Rows


class Sweep:
    """One order on one partition. What comes to the table meanwhile is met when its turn comes."""

    __slots__ = ("_at", "_rest", "_rows", "order")

    def __init__(self, order: Control, rows: Rows) -> None:
        self.order, self._rows = order, rows
        self._rest = [DUE, GATE, BEHIND]
        self._at: bytes | None = None

    @property
    def is_over(self) -> bool:
        """Whether every row was looked at."""
        return not self._rest

    def next(self, most: int) -> Iterator[tuple[bytes, Parked]]:
        """Of the next `most` rows those that the order ends, each with its place."""
        while self._rest and most > 0:
            family = self._rest[0]
            page = list(islice(self._rows.index(self._at or family, family), most))
            most -= len(page)
            for _, place in page:
                row = self._rows.row(place)
                if row is not None and clears(self.order, row.job, State(row.state)):
                    yield place, row
            if most > 0:
                self._rest.pop(0)
                self._at = None
            elif page:
                self._at = page[-1][0] + page[-1][1] + b"\0"
