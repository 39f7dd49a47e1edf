"""The tracker never calls an offset complete that was not, and forgets none that was."""

from hypothesis import given
from hypothesis import strategies as st

from streams.transport.tracker import Tracker

ranges = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40)), max_size=60)


@given(st.integers(0, 50), ranges)
def test_base_and_mask_say_which_offsets_are_complete(base: int, spans: list[tuple[int, int]]) -> None:
    tracker = Tracker("t", 0, base)
    complete = set(range(base))
    for low, length in spans:
        tracker.complete(low, low + length)
        complete |= set(range(low, low + length))
    assert {offset for offset in range(400) if tracker.is_complete(offset)} == complete


@given(st.integers(0, 50), ranges)
def test_base_is_the_lowest_incomplete_offset(base: int, spans: list[tuple[int, int]]) -> None:
    tracker = Tracker("t", 0, base)
    for low, length in spans:
        tracker.complete(low, low + length)
    assert not tracker.is_complete(tracker.base)
    assert all(tracker.is_complete(offset) for offset in range(tracker.base))


@given(ranges)
def test_base_never_goes_back(spans: list[tuple[int, int]]) -> None:
    tracker, before = Tracker("t", 0, 0), 0
    for low, length in spans:
        tracker.complete(low, low + length)
        assert tracker.base >= before
        before = tracker.base


@given(ranges)
def test_a_tracker_made_from_base_and_mask_goes_on_the_same_way(spans: list[tuple[int, int]]) -> None:
    first = Tracker("t", 0, 0)
    for low, length in spans:
        first.complete(low, low + length)
    second = Tracker("t", 0, first.base, first.mask)
    assert (second.base, second.mask) == (first.base, first.mask)


@given(st.permutations(range(64)))
def test_any_order_of_completion_ends_at_the_same_base(order: list[int]) -> None:
    tracker = Tracker("t", 0, 0)
    for offset in order:
        tracker.complete(offset, offset + 1)
    assert (tracker.base, tracker.mask) == (64, 0)


def test_a_mask_whose_lowest_bit_is_set_moves_the_base() -> None:
    tracker = Tracker("t", 0, 5, 0b1011)
    assert (tracker.base, tracker.mask) == (7, 0b10)


def test_the_window_counts_from_the_lowest_incomplete_offset() -> None:
    tracker = Tracker("t", 0, 0)
    tracker.next = 10
    tracker.complete(0, 3)
    tracker.complete(5, 8)
    assert tracker.used == 7
