"""From fetched records to steps in Faust's streams, in the loop.

Partitions take turns, the one that was served longest ago first: what comes on a quiet topic (an urgent job)
does not wait for everything that was fetched of a busy one before.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from confluent_kafka import Message
from faust.types.tuples import TP, ConsumerMessage

from streams.transport.owned import OwnedPartition
from streams.transport.reading import Fetched
from streams.transport.step import Chunk, Step
from streams.transport.tracker import Tracker

# After so many the agents have their turn.
TURN_RECORDS = 500


class StepMessage(ConsumerMessage):
    """A Faust message with the step that its agent completes."""

    __slots__ = ("step",)

    step: Step | None


class Delivery:
    """Hands records over in the order of their offsets and marks the holes between them as complete.

    Holes are the markers of transactions, aborted records and what compaction removed: no record comes for
    them. Records completed before a restart are skipped.
    """

    def __init__(
        self,
        on_message: Callable[[ConsumerMessage], Awaitable[None]],
        chunked: Callable[[str], bool],
        generation: Callable[[], int],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._on_message, self._chunked, self._generation = on_message, chunked, generation
        self._room = room
        self._queues: dict[Tracker, deque[Fetched]] = {}
        self._served: dict[tuple[str, int], int] = {}
        self._turn = 0
        self._wake = asyncio.Event()
        self.delivered = 0
        """Records taken from the queue so far; read by the consume thread."""

    def put(self, fetched: Sequence[Fetched]) -> None:
        """Records that the consume thread read."""
        for one in fetched:
            self._queues.setdefault(one.tracker, deque()).append(one)
        self._wake.set()

    async def run(self) -> None:
        """Deliver for ever."""
        since = 0
        while True:
            while not self._queues:
                self._wake.clear()
                await self._wake.wait()
            await self._room()
            since += await self._hand_over(self._take())
            if since >= TURN_RECORDS or not self._queues:
                since = 0
                await asyncio.sleep(0)

    async def _hand_over(self, fetched: Fetched) -> int:
        if fetched.records:
            await self._deliver(fetched.owned, fetched.tracker, fetched.records)
            self.delivered += len(fetched.records)
        if fetched.end is not None:
            pass_markers(fetched.tracker, fetched.end)
        return len(fetched.records)

    def _take(self) -> Fetched:
        """The next of the partition that was served longest ago."""
        tracker = min(self._queues, key=lambda t: self._served.get((t.topic, t.partition), 0))
        self._turn += 1
        self._served[tracker.topic, tracker.partition] = self._turn
        queue = self._queues[tracker]
        fetched = queue.popleft()
        if not queue:
            del self._queues[tracker]
        return fetched

    async def _deliver(self, owned: OwnedPartition, tracker: Tracker, records: Sequence[Message]) -> None:
        if owned.is_stopping:
            return
        taken = claim(tracker, records)
        if not taken:
            return
        if self._chunked(tracker.topic):
            low, high = _offset(taken[0]), _offset(taken[-1]) + 1
            chunk = Chunk(owned, tracker, low, high, taken)
            await self._send(tracker, high - 1, None, None, chunk, chunk)
            return
        for record in taken:
            offset = _offset(record)
            step = Step(owned, tracker, offset, offset + 1)
            await self._send(tracker, offset, record, record.key(), record.value(), step)

    async def _send(
        self, tracker: Tracker, offset: int, record: Message | None, key: Any, value: Any, step: Step
    ) -> None:
        kind, milliseconds = record.timestamp() if record is not None else (0, 0)
        headers: Any = (record.headers() if record is not None else None) or []
        message = StepMessage(
            tracker.topic,
            tracker.partition,
            offset,
            milliseconds / 1000,
            kind,
            headers,
            key,
            value,
            None,
            0,
            0,
            TP(tracker.topic, tracker.partition),
            generation_id=self._generation(),
        )
        message.step = step
        await self._on_message(message)


def claim(tracker: Tracker, records: Sequence[Message]) -> Sequence[Message]:
    """The records not yet delivered and not yet complete; moves the tracker behind the last one."""
    first, last = _offset(records[0]), _offset(records[-1])
    # The base may have passed `next`: completing a hole joins it with what was complete in a life before.
    start = max(tracker.next, tracker.base)
    if last < start:
        return []
    if first < start or tracker.mask:
        records = [r for r in records if _offset(r) >= start and not tracker.is_complete(_offset(r))]
    tracker.next = last + 1
    if last + 1 - start == len(records):
        return records
    expected = start
    for record in records:
        offset = _offset(record)
        tracker.complete(expected, offset)
        expected = offset + 1
    tracker.complete(expected, last + 1)
    return records


def pass_markers(tracker: Tracker, end: int) -> None:
    """The log ends here: what lies between the last record and its end are markers, so no lag remains."""
    if end > tracker.next:
        tracker.complete(tracker.next, end)
        tracker.next = end


def _offset(record: Message) -> int:
    offset = record.offset()
    assert offset is not None, "a fetched record has an offset"
    return offset
