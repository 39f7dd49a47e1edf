"""Delivery: every record once, holes complete, what was complete before is skipped."""

import asyncio
from typing import Any
from unittest.mock import Mock

from confluent_kafka import Message
from hypothesis import example, given
from hypothesis import strategies as st

from streams.transport.delivery import Delivery, claim, pass_markers
from streams.transport.limits import Limits
from streams.transport.owned import OwnedPartition
from streams.transport.reading import Fetched
from streams.transport.tracker import Tracker


def records(offsets: list[int]) -> list[Message]:
    found: list[Message] = []
    for offset in offsets:
        message = Mock(spec=Message)
        message.offset.return_value = offset
        found.append(message)
    return found


def offsets(found: object) -> list[int]:
    return [message.offset() for message in found]  # type: ignore[attr-defined]


def test_consecutive_records_are_claimed_as_they_are() -> None:
    tracker = Tracker("t", 0, 5)
    assert offsets(claim(tracker, records([5, 6, 7]))) == [5, 6, 7]
    assert (tracker.base, tracker.next) == (5, 8)


def test_holes_are_complete_at_once() -> None:
    tracker = Tracker("t", 0, 5)
    claim(tracker, records([7, 9]))
    assert (tracker.base, tracker.next) == (7, 10)
    tracker.complete(7, 8)
    assert tracker.base == 9


def test_records_seen_before_are_not_claimed_again() -> None:
    tracker = Tracker("t", 0, 5)
    claim(tracker, records([5, 6]))
    assert offsets(claim(tracker, records([5, 6]))) == []
    assert offsets(claim(tracker, records([6, 7]))) == [7]


def test_records_completed_before_a_restart_are_skipped() -> None:
    tracker = Tracker("t", 0, 5, 0b110)
    assert offsets(claim(tracker, records([5, 6, 7, 8]))) == [5, 8]
    tracker.complete(5, 6)
    assert tracker.base == 8


def test_markers_at_the_end_of_the_log_are_passed() -> None:
    tracker = Tracker("t", 0, 5)
    claim(tracker, records([5]))
    pass_markers(tracker, 7)
    assert (tracker.base, tracker.next) == (5, 7)
    tracker.complete(5, 6)
    assert tracker.base == 7
    pass_markers(tracker, 6)
    assert (tracker.base, tracker.next) == (7, 7)


async def at_once() -> None:
    """There is room."""


async def test_nothing_is_delivered_while_there_is_no_room() -> None:
    room, seen = asyncio.Event(), []

    async def note(message: Any) -> None:
        seen.append(message.offset)

    async def wait_for_room() -> None:
        await room.wait()

    delivery = Delivery(note, lambda _: True, lambda: 0, wait_for_room)
    owned, tracker = OwnedPartition(0, Limits(1_000, dict), lambda _: None), Tracker("t", 0, 0)
    delivery.put([Fetched(owned, tracker, records([0]))])
    running = asyncio.ensure_future(delivery.run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not seen
    room.set()
    async with asyncio.timeout(30):
        while not seen:  # noqa: ASYNC110
            await asyncio.sleep(0)
    running.cancel()


async def test_a_quiet_topic_does_not_wait_for_what_was_fetched_of_busy_ones() -> None:
    seen: list[tuple[str, int]] = []

    async def note(message: Any) -> None:
        seen.append((message.topic, message.offset))

    owned = OwnedPartition(0, Limits(1_000, dict), lambda _: None)
    bulk, normal, urgent = (Tracker(name, 0, 0) for name in ("bulk", "normal", "urgent"))
    delivery = Delivery(note, lambda _: True, lambda: 0, at_once)
    for start in range(0, 30, 10):
        found = records(list(range(start, start + 10)))
        delivery.put([Fetched(owned, tracker, found) for tracker in (bulk, normal)])
    delivery.put([Fetched(owned, urgent, records([0]))])
    running = asyncio.ensure_future(delivery.run())
    async with asyncio.timeout(30):
        while delivery.delivered < 61:  # noqa: ASYNC110
            await asyncio.sleep(0)
    running.cancel()
    assert ("urgent", 0) in seen[:3]
    assert [offset for topic, offset in seen if topic == "bulk"] == [9, 19, 29]
    assert [offset for topic, offset in seen if topic == "normal"] == [9, 19, 29]


# A hole is completed up to what was complete in a life before: that must not be delivered again.
@example(base=2, mask=48, present={6, 7}, sizes=[1])
@given(
    st.integers(0, 20),
    st.integers(0, (1 << 30) - 1),
    st.sets(st.integers(0, 60)),
    st.lists(st.integers(1, 9), max_size=30),
)
def test_completing_all_claimed_records_completes_everything(
    base: int, mask: int, present: set[int], sizes: list[int]
) -> None:
    tracker = Tracker("t", 0, base, mask)
    before = {offset for offset in range(70) if tracker.is_complete(offset)}
    log = sorted(offset for offset in present if offset >= tracker.base)
    claimed: list[int] = []
    while log:
        size = sizes.pop() if sizes else 5
        claimed += offsets(claim(tracker, records(log[:size])))
        log = log[size:]
    assert sorted(set(claimed)) == claimed == sorted(set(present) - before)
    for offset in claimed:
        assert not tracker.is_complete(offset)
        tracker.complete(offset, offset + 1)
    assert tracker.base >= tracker.next
