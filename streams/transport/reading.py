"""How far one partition is read, and whether its window has room."""

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Message

from streams.transport.owned import OwnedPartition
from streams.transport.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Fetched:
    """Records of one partition in order, and, when that was reached, the log's end behind them."""

    owned: OwnedPartition
    tracker: Tracker
    records: Sequence[Message]
    end: int | None = None


class Reading:
    """Belongs to the consume thread; the tracker moves in the loop, and only forward."""

    __slots__ = (
        "_last_position",
        "_suspect",
        "blocked_at",
        "is_fresh",
        "is_full",
        "owned",
        "position",
        "tracker",
    )

    def __init__(self, owned: OwnedPartition, tracker: Tracker) -> None:
        self.owned, self.tracker = owned, tracker
        self.position = tracker.base
        """The offset after the last record handed over."""
        self.is_full = False
        self.is_fresh = True
        """Fetching was started or resumed, and nothing came yet."""
        self._suspect: int | None = None
        self._last_position: int | None = None
        self.blocked_at: int | None = None
        """The tracker's base when a record did not fit: nothing changes before it moves."""

    @property
    def is_idle(self) -> bool:
        """Everything handed over is delivered and complete."""
        return self.position <= self.tracker.next == self.tracker.base

    def jumped(self, records: Sequence[Message], end: int | None) -> bool:
        """Whether the first thing fetched after a start lies behind the position: to be sought once more.

        A hole counts as complete, so a fetch that began at a wrong offset would lose records silently. A
        real hole (markers, aborted records) shows up the same a second time.
        """
        if not self.is_fresh:
            return False
        first = records[0].offset() if records else end
        if first is None or first <= self.position or first == self._suspect:
            self.is_fresh, self._suspect = False, None
            return False
        self._suspect = first
        return True

    def stood_still(self) -> bool:
        """Whether nothing was handed over since this was asked before."""
        still = self._last_position == self.position
        self._last_position = self.position
        return still

    def fit(self, records: Sequence[Message], window: int) -> int:
        """How many of the records lie within the window.

        When nothing is open the window begins at the first record: the hole before it is complete as soon
        as it is delivered.
        """
        limit = self.tracker.base + window
        if self.is_idle:
            limit = max(limit, (records[0].offset() or 0) + window)
        if (records[-1].offset() or 0) < limit:
            return len(records)
        return sum((record.offset() or 0) < limit for record in records)

    def reach(self, end: int | None, window: int) -> int | None:
        """The log's end when it lies behind what was handed over: markers up to it are no records.

        None when there is nothing new, or when records before it are still to come.
        """
        if end is None or end <= self.position or end - self.tracker.base > window:
            return None
        if self.blocked_at is not None:
            return None
        self.position = end
        return end

    def regulate(self, window: int, chunk: int) -> None:
        """Full from the point on where another chunk might not fit, until half of the window is free."""
        base = self.tracker.base
        used = self.position - base
        if self.blocked_at == base and not self.is_idle:
            self.is_full = True
            return
        self.blocked_at = None
        if used > window - chunk:
            self.is_full = True
        elif used <= window // 2:
            self.is_full = False
