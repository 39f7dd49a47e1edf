import math

import pytest

from connectors.kafka.lag import PartitionLag, State
from connectors.kafka.lag_trend import REWOUND_S, STALLED_S, Trend, Trends, drain_s


def lag(position: int | None, end: int, records: int | None = None, kept_in: str = "group") -> PartitionLag:
    unread = end - (position or 0) if records is None else records
    return PartitionLag("group", "topic", 0, position, end, unread, True, 1.0, kept_in=kept_in)


def after(*readings: tuple[float, PartitionLag]) -> Trend:
    """The trend after the last of these readings."""
    trends = Trends()
    return [trends.note(found, at) for at, found in readings][-1]


def test_what_was_seen_once_is_unknown() -> None:
    assert after((0, lag(5, 10))).state is State.UNKNOWN


def test_a_group_with_nothing_unread_is_caught_up_at_once() -> None:
    assert after((0, lag(10, 10))).state is State.CAUGHT_UP


def test_a_group_behind_commit_markers_is_caught_up_however_long_it_stands() -> None:
    assert after((0, lag(10, 12, 0)), (500, lag(10, 12, 0))).state is State.CAUGHT_UP


def test_a_group_that_commits_moves() -> None:
    found = after((0, lag(0, 100)), (10, lag(50, 120)))
    assert found.state is State.MOVING
    assert (found.read_rate, found.written_rate) == (5.0, 2.0)


def test_time_to_drain_is_what_is_left_over_what_is_gained() -> None:
    assert after((0, lag(0, 100)), (10, lag(50, 120))).drain_s == pytest.approx(70 / 3)


def test_a_group_that_is_slower_than_its_log_never_drains() -> None:
    assert math.isinf(after((0, lag(0, 100)), (10, lag(10, 200))).drain_s)


def test_nothing_unread_is_drained() -> None:
    assert drain_s(0, 0.0, 5.0) == 0.0


def test_a_group_that_stands_is_stalled_only_after_a_while() -> None:
    assert after((0, lag(5, 10)), (10, lag(5, 10))).state is State.STANDING
    found = after((0, lag(5, 10)), (STALLED_S, lag(5, 10)))
    assert (found.state, found.standing_s) == (State.STALLED, STALLED_S)


def test_a_group_that_was_idle_is_not_stalled_when_its_first_record_comes() -> None:
    readings = [(float(at), lag(10, 10)) for at in range(0, 600, 15)]
    assert after(*readings, (600, lag(10, 11))).state is State.STANDING


def test_a_group_that_never_committed_can_be_stalled() -> None:
    assert after((0, lag(None, 10)), (STALLED_S, lag(None, 12))).state is State.STALLED


def test_a_position_that_goes_back_is_told_for_a_while_and_counted_for_ever() -> None:
    back = ((0.0, lag(8, 10)), (10.0, lag(2, 10)))
    assert after(*back).state is State.REWOUND
    assert after(*back, (20, lag(9, 10))).state is State.REWOUND
    later = after(*back, (20, lag(10, 10)), (10 + REWOUND_S, lag(10, 10)))
    assert (later.state, later.rewinds) == (State.CAUGHT_UP, 1)


def test_a_rate_does_not_reach_over_a_step_back() -> None:
    assert after((0, lag(8, 10)), (10, lag(2, 10)), (20, lag(4, 10))).read_rate == pytest.approx(0.2)


def test_positions_told_by_another_place_are_no_step_back() -> None:
    found = after((0, lag(8, 10)), (10, lag(6, 10, kept_in="postgres")))
    assert (found.state, found.rewinds) == (State.UNKNOWN, 0)


def test_rates_are_those_of_the_window() -> None:
    readings = [(float(at), lag(at if at < 1000 else 1000, 2000)) for at in range(0, 2000, 10)]
    assert after(*readings).read_rate == 0.0
