"""What is handed over never spans more than the window, and a partition always gets on."""

from unittest.mock import Mock

from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from streams.transport.delivery import claim
from streams.transport.limits import Limits
from streams.transport.owned import OwnedPartition
from streams.transport.reading import Reading
from streams.transport.tracker import Tracker

WINDOW, CHUNK = 20, 5


def records(offsets: list[int]) -> list[Message]:
    found: list[Message] = []
    for offset in offsets:
        message = Mock(spec=Message)
        message.offset.return_value = offset
        found.append(message)
    return found


def test_a_window_with_room_takes_everything(owned: OwnedPartition) -> None:
    reading = Reading(owned, Tracker("t", 0, 0))
    assert reading.fit(records([0, 1, 2]), WINDOW) == 3


def test_records_beyond_the_window_wait(owned: OwnedPartition) -> None:
    reading = Reading(owned, Tracker("t", 0, 0))
    reading.position = 18
    assert reading.fit(records([18, 19, 20, 21]), WINDOW) == 2


def test_a_hole_larger_than_the_window_is_passed_when_nothing_is_open(owned: OwnedPartition) -> None:
    reading = Reading(owned, Tracker("t", 0, 0))
    assert reading.fit(records([1_000, 1_001, 1_050]), WINDOW) == 2


def test_a_blocked_partition_stays_paused_until_its_base_moves(owned: OwnedPartition) -> None:
    tracker = Tracker("t", 0, 0)
    reading = Reading(owned, tracker)
    reading.position, tracker.next, reading.blocked_at = 1, 1, 0
    reading.regulate(WINDOW, CHUNK)
    assert reading.is_full
    tracker.complete(0, 1)
    reading.regulate(WINDOW, CHUNK)
    assert not reading.is_full


def test_a_hole_at_the_start_is_believed_when_it_is_seen_twice(owned: OwnedPartition) -> None:
    reading = Reading(owned, Tracker("t", 0, 5))
    assert reading.jumped(records([9]), None)
    assert reading.jumped(records([7]), None)
    assert not reading.jumped(records([7]), None)
    assert not reading.jumped(records([30]), None)


def test_a_start_at_the_position_is_no_jump(owned: OwnedPartition) -> None:
    reading = Reading(owned, Tracker("t", 0, 5))
    assert not reading.jumped(records([5]), None)
    assert not reading.jumped(records([20]), None)


def test_an_end_of_the_log_behind_the_position_is_looked_at_twice(owned: OwnedPartition) -> None:
    reading = Reading(owned, Tracker("t", 0, 5))
    assert reading.jumped([], 1_000)
    assert not reading.jumped(records([5]), None)


def test_a_partition_stands_still_when_its_position_is_the_same_twice(owned: OwnedPartition) -> None:
    reading = Reading(owned, Tracker("t", 0, 5))
    assert [reading.stood_still(), reading.stood_still()] == [False, True]
    reading.position = 6
    assert not reading.stood_still()


def test_the_end_of_the_log_counts_only_behind_everything_that_was_read(owned: OwnedPartition) -> None:
    reading = Reading(owned, Tracker("t", 0, 0))
    assert reading.reach(0, WINDOW) is None
    assert reading.reach(3, WINDOW) == 3
    assert reading.reach(3, WINDOW) is None
    assert reading.reach(1_000, WINDOW) is None
    reading.blocked_at = 0
    assert reading.reach(4, WINDOW) is None


@given(st.sets(st.integers(0, 300), min_size=1), st.randoms(use_true_random=False))
def test_all_records_come_through_and_the_mask_never_exceeds_the_window(log: set[int], dice: object) -> None:
    tracker = Tracker("t", 0, 0)
    reading = Reading(OwnedPartition(0, Limits(1_000, dict), lambda _: None), tracker)
    todo, open_offsets, seen = sorted(log), [], []
    for _ in range(5_000):
        reading.regulate(WINDOW, CHUNK)
        if todo and not reading.is_full:
            fetched = records(todo[:CHUNK])
            fits = reading.fit(fetched, WINDOW)
            if fits < len(fetched):
                reading.blocked_at = tracker.base
            if fits:
                reading.position = todo[fits - 1] + 1
                taken = [record.offset() or 0 for record in claim(tracker, fetched[:fits])]
                open_offsets += taken
                seen += taken
                todo = todo[fits:]
        assert tracker.mask.bit_length() <= WINDOW
        if open_offsets:
            done = open_offsets.pop(dice.randrange(len(open_offsets)))  # type: ignore[attr-defined]
            tracker.complete(done, done + 1)
        elif not todo:
            break
    assert seen == sorted(log)
    assert tracker.base == max(log) + 1
