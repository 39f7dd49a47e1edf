"""Bugs at gates."""

from collections.abc import Callable
from typing import Any

from ops.simulation import owned
from ops.simulation.bugs.wrong import Mutation, nobody, unlisted, unseen
from schemas.priorities import Lane
from streams.core import outcome
from streams.core.blast import Deaths
from streams.core.endings import Endings
from streams.core.entry import Entry
from streams.core.gates import Gates, keeps_key
from streams.core.home import Home
from streams.core.machine import Machine
from streams.core.scheduler import Scheduler
from streams.core.standing import Standing


def _at_gate(row: Any) -> bool:
    return row.gate is not None


def _stands_as(holder: bool) -> Callable[[Any], Any]:
    def wrong(right: Any) -> Any:
        def at_gate(entry: Entry, gate: str, **_: Any) -> Any:
            entry.holds = holder
            return right(entry, gate, holder=holder)

        return at_gate

    return wrong


def _keeps_its_slot(right: Any) -> Any:
    def stand(self: Standing, home: Home, entry: Entry, *rest: Any) -> None:
        for lane in Lane:
            self._ready._used[lane] += 1
        right(self, home, entry, *rest)

    return stand


def _stays_counted(right: Any) -> Any:
    def stand(self: Standing, home: Home, entry: Entry, *rest: Any) -> None:
        counted = entry.counted
        entry.counted = False
        right(self, home, entry, *rest)
        entry.counted = counted and entry.step is not None

    return stand


def _all_pass(right: Any) -> Any:
    return lambda self, job: None


def _one_too_many(right: Any) -> Any:
    return lambda self, gate, room: right(self, gate, None if room is None else room + 1)


def _without_bound(right: Any) -> Any:
    def wait(self: Gates, gate: str, entry: Entry, **others: bool) -> Any:
        share, self._share = self._share, 1_000
        try:
            return right(self, gate, entry, others=False)
        finally:
            self._share = share

    return wait


def _orders_forgotten(right: Any) -> Any:
    def opened(self: Machine, *rest: Any, **named: Any) -> None:
        self._gates.closed = {gate for gate in self._gates.closed if keeps_key(gate)}
        right(self, *rest, **named)

    return opened


def _held_elsewhere(right: Any) -> Any:
    def look(self: Endings, *given: Any) -> None:
        closed, self._gates.closed = self._gates.closed, set()
        right(self, *given)
        self._gates.closed = closed

    return look


BUGS: dict[str, Mutation] = {
    "who stands at a gate is forgotten": (owned, "entries_of", unlisted(_at_gate)),
    "a key does not see who stands at a gate": (owned, "entries_of", unseen(_at_gate)),
    "a waiter of a paused queue holds its key": (outcome, "at_gate", _stands_as(holder=True)),
    "who waits for a provider lets its key go": (outcome, "at_gate", _stands_as(holder=False)),
    "who stands at a gate keeps its slot": (Standing, "stand", _keeps_its_slot),
    "who waits for a provider fills its lane": (Standing, "stand", _stays_counted),
    "a gate that opens lets only those in memory go on": (Scheduler, "let_in", nobody),
    "those in memory at a gate outlive their partition": (Gates, "forget", nobody),
    "a closed gate stops nobody": (Gates, "closed_for", _all_pass),
    "a provider's gate lets one too many pass": (Gates, "take", _one_too_many),
    "a type whose jobs die is not held": (Deaths, "ended", lambda _: lambda *_, **__: None),
    "a type is held whoever dies": (Deaths, "ended", lambda _: lambda *_, **__: "it is held"),
    "a type that is held goes on where it died": (Endings, "_look_at_deaths", _held_elsewhere),
    "all wait for a provider in memory": (Gates, "wait", _without_bound),
    "a take-over forgets the orders": (Machine, "opened", _orders_forgotten),
}
