from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors.consuming.log_ends import LogEnds
from connectors.consuming.positions import Place
from connectors.consuming.unheard import REST_LOOKS, SILENT_LOOKS, Unheard, UnheardError

PLACE, OTHER = ("t", 0), ("t", 1)


class Brokers:
    """A consumer that fetches from some partitions; logs end where `ends` says, None: nobody says."""

    def __init__(self, ends: dict[Place, int | None], fetched: set[Place]) -> None:
        self._ends, self._fetched = ends, fetched
        self.asked: list[Place] = []

    def get_watermark_offsets(self, at: Any, cached: bool = False, **_: Any) -> tuple[int, int]:
        place = (at.topic, at.partition)
        end = self._ends[place]
        if not cached:
            self.asked.append(place)
            if end is None:
                raise KafkaException(KafkaError(KafkaError._TRANSPORT))
            return 0, end
        return (0, end or 0) if place in self._fetched else (-1001, -1001)


def looked(unheard: Unheard, brokers: Brokers, times: int) -> None:
    for _ in range(times):
        unheard.look({PLACE: 4, OTHER: 4}, LogEnds(brokers))


def test_a_partition_with_records_from_which_nothing_comes_ends_it() -> None:
    unheard, brokers = Unheard(), Brokers({PLACE: 9, OTHER: 9}, {OTHER})
    looked(unheard, brokers, SILENT_LOOKS - 1)
    with pytest.raises(UnheardError, match=r"nothing comes from t \[0\], and its log ends at 9"):
        looked(unheard, brokers, 1)


def test_one_that_is_read_to_its_end_is_left_alone() -> None:
    looked(Unheard(), Brokers({PLACE: 4, OTHER: 4}, set()), 5 * SILENT_LOOKS)


def test_brokers_that_do_not_answer_are_asked_seldom_and_for_each_in_turn() -> None:
    unheard, brokers = Unheard(), Brokers({PLACE: None, OTHER: None}, set())
    looked(unheard, brokers, SILENT_LOOKS + 3 * REST_LOOKS)
    assert {PLACE, OTHER} == set(brokers.asked)
    assert len(brokers.asked) <= 4


@pytest.mark.parametrize("meanwhile", [Unheard.pause, lambda unheard: unheard.heard(PLACE)])
def test_looks_count_only_one_after_the_other(meanwhile: Any) -> None:
    unheard, brokers = Unheard(), Brokers({PLACE: 9, OTHER: 9}, {OTHER})
    looked(unheard, brokers, SILENT_LOOKS - 1)
    meanwhile(unheard)
    looked(unheard, brokers, SILENT_LOOKS - 1)
    with pytest.raises(UnheardError):
        looked(unheard, brokers, 1)
