"""How far one partition is read, and whether its window has room."""

from collections.abc import Sequence

from confluent_kafka import Message

from streams.transport.owned import OwnedPartition
from streams.transport.tracker import Tracker


class Reading:
    """Belongs to the consume thread; the tracker moves in the loop, and only forward."""

    __slots__ = ("blocked_at", "is_full", "owned", "position", "tracker")

    def __init__(self, owned: OwnedPartition, tracker: Tracker) -> None:
        self.owned, self.tracker = owned, tracker
        self.position = tracker.base
        """The offset after the last record handed over."""
        self.is_full = False
        self.blocked_at: int | None = None
        """The tracker's base when a record did not fit: nothing changes before it moves."""

    @property
    def is_idle(self) -> bool:
        """Everything handed over is delivered and complete."""
        return self.position <= self.tracker.next == self.tracker.base

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
