"""Who starts next: shares of the slots, turns between the lanes, priority and arrival within one."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schemas.priorities import Lane
from streams.core.entry import Entry
from streams.core.ready import Ready
from tests.unit.streams.core.builders import an_entry


def fill(ready: Ready, lane: Lane, count: int) -> None:
    for offset in range(count):
        ready.add(an_entry(offset, lane))


def take_all(ready: Ready) -> list[Entry]:
    taken = []
    while (entry := ready.take()) is not None:
        taken.append(entry)
    return taken


def one_by_one(ready: Ready, count: int) -> list[Lane]:
    """The lanes of the next jobs when each ends before the next starts."""
    lanes = []
    for _ in range(count):
        entry = ready.take()
        assert entry is not None
        lanes.append(entry.lane)
        ready.free(entry)
    return lanes


def test_a_lane_alone_gets_its_share_of_the_slots() -> None:
    for lane, slots in ((Lane.URGENT, 100), (Lane.NORMAL, 90), (Lane.BULK, 70)):
        ready = Ready(100)
        fill(ready, lane, 200)
        assert len(take_all(ready)) == ready.running == slots


def test_an_urgent_job_finds_a_slot_under_a_flood_of_the_lanes_below() -> None:
    ready = Ready(100)
    fill(ready, Lane.BULK, 200)
    fill(ready, Lane.NORMAL, 200)
    assert len(take_all(ready)) == 90
    ready.add(an_entry(0, Lane.URGENT))
    assert [entry.lane for entry in take_all(ready)] == [Lane.URGENT]


def test_a_flood_of_urgent_jobs_does_not_starve_the_lanes_below() -> None:
    """The limits of normal and bulk counted urgent jobs, too: neither ever found a slot."""
    ready = Ready(10)
    fill(ready, Lane.URGENT, 300)
    running = take_all(ready)
    fill(ready, Lane.BULK, 5)
    fill(ready, Lane.NORMAL, 20)
    lanes: Counter[Lane] = Counter()
    for _ in range(84):
        ready.free(running.pop(0))
        started = take_all(ready)
        lanes.update(entry.lane for entry in started)
        running += started
    assert lanes == {Lane.URGENT: 64, Lane.NORMAL: 16, Lane.BULK: 4}


def test_lanes_take_turns_sixteen_to_four_to_one() -> None:
    ready = Ready(10)
    for lane in Lane:
        fill(ready, lane, 100)
    assert Counter(one_by_one(ready, 21)) == {Lane.URGENT: 16, Lane.NORMAL: 4, Lane.BULK: 1}


def test_a_lane_that_was_busy_alone_is_not_put_behind() -> None:
    """Bulk jobs got a turn for each 16 urgent ones that had run before the first of them came."""
    ready = Ready(1)
    fill(ready, Lane.URGENT, 1_000)
    one_by_one(ready, 1_000)
    fill(ready, Lane.BULK, 50)
    fill(ready, Lane.URGENT, 10)
    assert one_by_one(ready, 10).count(Lane.BULK) <= 1


def test_a_lane_that_was_empty_or_full_has_saved_up_no_turns() -> None:
    ready = Ready(10)
    fill(ready, Lane.BULK, 100)
    bulk = take_all(ready)
    fill(ready, Lane.URGENT, 500)
    one_by_one(ready, 400)
    for entry in bulk:
        ready.free(entry)
    assert one_by_one(ready, 17).count(Lane.BULK) <= 2


@given(st.lists(st.integers(1, 10), min_size=1))
def test_within_a_lane_priority_decides_then_arrival(priorities: list[int]) -> None:
    ready = Ready(len(priorities) * 2)
    for number, priority in enumerate(priorities):
        ready.add(an_entry(number, priority=priority))
    taken = [(entry.job.priority, entry.job.source_offset) for entry in take_all(ready)]
    assert taken == sorted(taken, key=lambda pair: (-pair[0], pair[1]))
    assert len(taken) == len(priorities)


def test_what_is_discarded_is_not_taken_and_may_come_again() -> None:
    ready = Ready(10)
    entry = an_entry(0)
    ready.add(entry)
    ready.discard(entry)
    assert ready.take() is None
    ready.add(entry)
    assert ready.take() is entry
    assert ready.take() is None


def test_a_process_with_one_slot_serves_every_lane() -> None:
    ready = Ready(1)
    for lane in Lane:
        ready.add(an_entry(0, lane))
    assert sorted(one_by_one(ready, 3)) == list(Lane)
