"""When a part that ended is started again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.stack.restarts import NEW_PROCESS, STEADY_S, Record, after_end, delay_s, gives_up


def test_the_pause_doubles_from_half_a_second() -> None:
    assert [delay_s(Record(failures)) for failures in (1, 2, 3, 4)] == [0.5, 1, 2, 4]


@given(st.integers(0, 10_000))
def test_the_pause_never_exceeds_half_a_minute(failures: int) -> None:
    assert 0.5 <= delay_s(Record(failures)) <= 30


def test_a_steady_life_clears_the_record() -> None:
    assert after_end(Record(9, was_ready=True), STEADY_S) == Record(1, was_ready=True)


def test_a_short_life_adds_to_the_record() -> None:
    assert after_end(Record(2), STEADY_S - 1) == Record(3)


def test_the_third_end_before_the_first_readiness_gives_up() -> None:
    assert [gives_up(Record(failures), 1) for failures in (1, 2, 3)] == [False, False, True]


@given(st.integers(0, 1000), st.integers(-15, 255))
def test_a_part_that_was_ready_once_is_never_given_up(failures: int, status: int) -> None:
    assert not gives_up(Record(failures, was_ready=True), status)


@pytest.mark.parametrize("status", NEW_PROCESS)
def test_a_part_that_asks_for_a_new_process_is_not_given_up(status: int) -> None:
    assert not gives_up(Record(100), status)
