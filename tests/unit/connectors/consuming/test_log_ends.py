from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors.consuming.log_ends import LogEnds

PLACE = ("t", 0)


class Brokers:
    """A consumer that knows only where a log begins and ends."""

    def __init__(self, start: int, end: int) -> None:
        self._ends = (start, end)

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        return self._ends


class Away:
    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


@pytest.mark.parametrize(("start", "position", "lost"), [(0, 5, 0), (5, 5, 0), (9, 5, 4), (9, 0, 0)])
def test_only_offsets_deleted_before_they_were_read_are_lost(start: int, position: int, lost: int) -> None:
    assert LogEnds(Brokers(start, 20)).lost(PLACE, position) == lost


def test_a_log_that_ends_before_our_position_is_new() -> None:
    assert LogEnds(Brokers(0, 3)).is_new(PLACE, 10)
    assert not LogEnds(Brokers(0, 10)).is_new(PLACE, 10)


def test_without_an_answer_nothing_is_claimed() -> None:
    assert LogEnds(Away()).lost(PLACE, 5) == 0
    assert not LogEnds(Away()).is_new(PLACE, 5)


def test_the_lag_is_unknown_until_something_was_fetched() -> None:
    assert LogEnds(Brokers(0, -1001)).behind(PLACE, 5) == 0
    assert LogEnds(Brokers(0, 12)).behind(PLACE, 5) == 7
