"""What one owned partition completed since the last transaction."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.transport.errors import StepLost
from streams.transport.step import Output
from streams.transport.tracker import Tracker

if TYPE_CHECKING:
    from streams.transport.owned import OwnedPartition
    from streams.transport.table_partition import TablePartition


@dataclass(frozen=True, slots=True)
class Position:
    """A source position as it stands in a transaction: committed offset and completed offsets above it."""

    topic: str
    partition: int
    offset: int
    mask: int
    topic_id: str = ""
    """Of which incarnation of the topic; empty when it is not known."""


class Changes:
    """New values of one table partition, and where its changelog ends after them (None: not known)."""

    __slots__ = ("changelog_end", "table", "values")

    def __init__(self, table: "TablePartition", values: Mapping[bytes, bytes | None]) -> None:
        self.table, self.values = table, values
        self.changelog_end: int | None = None


class Batch:
    """Filled by completing steps, sealed by the committer, then committed or lost as a whole.

    Belongs to the loop thread; the transaction thread only reads it once it is sealed.
    """

    def __init__(self, owned: "OwnedPartition") -> None:
        self.owned = owned
        self.outputs: list[Output] = []
        self.touched: set[Tracker] = set()
        self.positions: list[Position] = []
        self.changes: list[Changes] = []
        self.records = 0
        self._state = "open"
        self._waiters: list[asyncio.Future[None]] = []

    def seal(self, changes: list[Changes]) -> None:
        """Fix the offsets that go into the transaction; steps completed later belong to the next batch."""
        self.positions = [Position(t.topic, t.partition, t.base, t.mask, t.topic_id) for t in self.touched]
        self.changes = changes

    async def wait(self) -> None:
        """Return when committed; raise StepLost when it never was, as far as this process knows."""
        if self._state == "open":
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        elif self._state == "lost":
            raise self._lost()

    def commit(self) -> None:
        """The transaction is committed. What it carried goes: a quiet partition keeps its last batch."""
        self._end("committed")
        self.outputs, self.changes = [], []

    def lose(self) -> None:
        """The partition went, or the outcome is unknown: whoever waits must not act."""
        self._end("lost")

    def _end(self, state: str) -> None:
        if self._state != "open":
            return
        self._state = state
        for waiter in self._waiters:
            if waiter.done():
                continue
            if state == "lost":
                waiter.set_exception(self._lost())
            else:
                waiter.set_result(None)
        self._waiters.clear()

    def _lost(self) -> StepLost:
        return StepLost(f"partition {self.owned.partition} was closed before the step was committed")
