from typing import Any

import pytest

from connectors.consuming.log_ends import LogEnds
from connectors.consuming.positions import Place
from connectors.consuming.unheard import PATIENCE_S, TRIES, Unheard, UnheardError

PLACE, OTHER = ("t", 0), ("t", 1)


class Brokers:
    """A consumer that fetches from some partitions; logs end where `ends` says."""

    def __init__(self, ends: dict[Place, int]) -> None:
        self.ends, self.fetched = ends, set[Place]()

    def get_watermark_offsets(self, at: Any, cached: bool = False, **_: Any) -> tuple[int, int]:
        place = (at.topic, at.partition)
        return (0, self.ends[place]) if place in self.fetched or not cached else (-1001, -1001)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def watched(ends: dict[Place, int]) -> tuple[Brokers, Clock, Unheard]:
    clock = Clock()
    return Brokers(ends), clock, Unheard(clock)


def test_a_partition_with_records_from_which_nothing_comes_is_found_after_a_while() -> None:
    brokers, clock, unheard = watched({PLACE: 9, OTHER: 9})
    brokers.fetched.add(OTHER)
    placed = {PLACE: 4, OTHER: 4}
    assert unheard.find(placed, LogEnds(brokers)) is None
    clock.now += PATIENCE_S
    assert unheard.find(placed, LogEnds(brokers)) == PLACE
    assert unheard.find(placed, LogEnds(brokers)) is None


def test_one_that_is_read_to_its_end_is_left_alone() -> None:
    brokers, clock, unheard = watched({PLACE: 4})
    for _ in range(5):
        assert unheard.find({PLACE: 4}, LogEnds(brokers)) is None
        clock.now += PATIENCE_S


def test_when_placing_anew_does_not_help_it_ends() -> None:
    brokers, clock, unheard = watched({PLACE: 9})
    unheard.find({PLACE: 4}, LogEnds(brokers))
    for _ in range(TRIES):
        clock.now += PATIENCE_S
        assert unheard.find({PLACE: 4}, LogEnds(brokers)) == PLACE
    clock.now += PATIENCE_S
    with pytest.raises(UnheardError, match=r"t \[0\] is not fetched, its log ends at 9"):
        unheard.find({PLACE: 4}, LogEnds(brokers))


def test_one_that_was_heard_of_has_all_tries_again() -> None:
    brokers, clock, unheard = watched({PLACE: 9})
    for _ in range(TRIES + 2):
        brokers.fetched.clear()
        unheard.find({PLACE: 4}, LogEnds(brokers))
        clock.now += PATIENCE_S
        assert unheard.find({PLACE: 4}, LogEnds(brokers)) == PLACE
        brokers.fetched.add(PLACE)
        assert unheard.find({PLACE: 4}, LogEnds(brokers)) is None
