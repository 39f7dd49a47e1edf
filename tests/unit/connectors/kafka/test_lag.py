import pytest

from connectors.kafka.lag import (
    NOTHING,
    LogEnds,
    PartitionLag,
    Position,
    Unread,
    lost_before,
    partition_lag,
    start_of,
    total,
)

ENDS = LogEnds(start=10, stable=90, end=100)


def lag(records: int = 0, seconds: float | None = 0.0, lost: int = 0) -> PartitionLag:
    return PartitionLag("group", "topic", 0, 5, 10, records, True, seconds, lost)


def test_offsets_done_above_the_position_are_not_undone() -> None:
    assert Position(10, 0b1010).undone(20) == 8


def test_bits_beyond_the_end_do_not_count_as_done_before_it() -> None:
    assert Position(10, 0b1000_0001).undone(12) == 1


def test_nothing_is_undone_for_a_position_at_or_behind_the_end() -> None:
    assert (Position(20).undone(20), Position(25).undone(20)) == (0, 0)


def test_a_position_knows_what_is_done() -> None:
    position = Position(10, 0b10)
    assert [position.has(offset) for offset in (9, 10, 11, 12)] == [True, False, True, False]


def test_a_group_without_a_position_starts_at_the_logs_start() -> None:
    assert start_of(None, ENDS) == Position(10)


def test_a_position_behind_a_log_that_was_made_again_starts_anew() -> None:
    assert start_of(Position(101, 0b1), ENDS) == Position(10)


def test_a_position_before_the_logs_start_moves_up_and_keeps_what_is_done() -> None:
    assert start_of(Position(7, 0b10001), ENDS) == Position(10, 0b10)


def test_a_position_inside_the_log_stays() -> None:
    assert start_of(Position(50, 0b1), ENDS) == Position(50, 0b1)


def test_only_what_was_not_done_is_lost() -> None:
    assert lost_before(Position(5, 0b110), ENDS) == 3
    assert lost_before(Position(10), ENDS) == 0
    assert lost_before(None, ENDS) == 0


def test_a_record_from_the_future_is_of_age_zero() -> None:
    found = partition_lag("g", ("t", 0), Position(5), ENDS, Unread(1, oldest_ms=2_000), 1_000)
    assert found.seconds == 0.0


def test_an_age_that_could_not_be_read_is_not_zero() -> None:
    assert partition_lag("g", ("t", 0), Position(5), ENDS, Unread(1), 1_000).seconds is None
    assert partition_lag("g", ("t", 0), Position(5), ENDS, NOTHING, 1_000).seconds == 0.0


def test_records_behind_an_open_transaction_are_hidden() -> None:
    assert partition_lag("g", ("t", 0), Position(90), ENDS, NOTHING, 0).hidden == 10


def test_a_total_is_as_late_as_its_latest_partition() -> None:
    found = total([lag(3, 10.0), lag(4, 20.0, lost=1)])
    assert (found.partitions, found.records, found.seconds, found.lost) == (2, 7, 20.0, 1)


@pytest.mark.parametrize("unknown", [lag(1, None)])
def test_a_total_with_an_unknown_age_has_no_age(unknown: PartitionLag) -> None:
    assert total([lag(3, 10.0), unknown]).seconds is None
