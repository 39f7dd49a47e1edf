"""Bugs where jobs wait for a process."""

from typing import Any

from ops.simulation.bugs.wrong import Mutation, nobody
from streams.core.attempt import Attempt
from streams.core.gates import PROCESS_GATE, Gates
from streams.core.limited import Limited
from streams.core.machine import Machine
from streams.core.places import Places


def _always_a_place(right: Any) -> Any:
    def take(self: Places, attempt: Attempt, called: bool) -> bool:
        self._taken.add(attempt)
        return True

    return take


def _with_its_partition(right: Any) -> Any:
    def closed(self: Machine, partition: int) -> None:
        places: Places = self._limited._places
        for attempt in list(places._taken):
            if attempt.home.partition == partition:
                places.give_back(attempt)
        right(self, partition)

    return closed


def _at_its_end_only(right: Any) -> Any:
    def give_back(self: Places, attempt: Attempt) -> None:
        if attempt.ran:
            right(self, attempt)

    return give_back


def _those_in_memory_only(right: Any) -> Any:
    def has_rows_at(self: Any, gate: str) -> bool:
        return gate != PROCESS_GATE and bool(right(self, gate))

    return has_rows_at


def _waits_with_its_slot(right: Any) -> Any:
    def lets_pass(self: Limited, attempt: Attempt, gate: str, time: Any) -> bool:
        passed: bool = right(self, attempt, gate, time)
        if not passed and gate == PROCESS_GATE:
            attempt.home.scheduler._ready._count(attempt.entry.lane, 1)
        return passed

    return lets_pass


def _without_gate(right: Any) -> Any:
    def init(self: Gates, share: int, *_: Any) -> None:
        right(self, share)

    return init


BUGS: dict[str, Mutation] = {
    "a job that computes takes no place": (Places, "take", _always_a_place),
    "jobs that compute pass no gate": (Gates, "__init__", _without_gate),
    "a place is never given back": (Places, "give_back", nobody),
    "a place is given back only by those that ran": (Places, "give_back", _at_its_end_only),
    "a place goes with its partition, its process computes on": (Machine, "closed", _with_its_partition),
    "who waits for a process keeps its slot": (Limited, "lets_pass", _waits_with_its_slot),
    "a free place is told to nobody": (Places, "room", lambda _: lambda self: 0),
}
