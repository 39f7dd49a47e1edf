import math

import pytest
from rich.console import Console

from connectors.kafka.lag import PartitionLag, State
from connectors.kafka.lag_trend import Trend
from ops.cli.lag import duration, table


def shown(*seen: tuple[PartitionLag, Trend], partitions: bool = False) -> str:
    console = Console(width=160)
    with console.capture() as captured:
        console.print(table(seen, partitions))
    return captured.get()


def lag(records: int, partition: int = 0, *, exact: bool = True, kept_in: str = "group") -> PartitionLag:
    return PartitionLag("g", "t", partition, 0, records, records, exact, 61.0, kept_in=kept_in)


def test_a_topic_is_one_line_with_the_sum_of_its_partitions_and_the_worst_state() -> None:
    text = shown((lag(2), Trend(State.MOVING)), (lag(3, 1), Trend(State.STALLED)))
    (line,) = [line for line in text.splitlines() if " t " in line]
    assert line.split()[:4] == ["g", "t", "2", "5"]
    assert "stalled" in line
    assert "never" in line


def test_each_partition_can_have_its_line() -> None:
    text = shown((lag(2), Trend(State.MOVING)), (lag(3, 1), Trend(State.STALLED)), partitions=True)
    assert len([line for line in text.splitlines() if " t " in line]) == 2


def test_a_number_that_counts_offsets_says_at_most() -> None:
    assert "<=5" in shown((lag(5, exact=False), Trend(State.MOVING)))


def test_where_the_positions_are_kept_is_told() -> None:
    assert "postgres" in shown((lag(5, kept_in="postgres"), Trend(State.MOVING)))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (119.9, "119.9 s"),
        (120, "2.0 min"),
        (7_200, "2.0 h"),
        (200_000, "2.3 d"),
        (math.inf, "never"),
    ],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
