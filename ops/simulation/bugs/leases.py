"""Bugs where the worker's machine meets its leases, looked for with the real limiters."""

from typing import Any

from ops.simulation.bugs.wrong import Mutation, nobody
from schemas.records import Failure
from streams.core.backoff import Retry
from streams.core.breaker import Circuit
from streams.core.endings import Endings
from streams.core.gates import keeps_key
from streams.core.limited import Limited
from streams.core.standing import Standing
from streams.core.turns import Turns


def _any_lease(right: Any) -> Any:
    return lambda self, attempt, time: True


def _used_up(right: Any) -> Any:
    def begin(self: Turns, attempt: Any, gate: str | None, time: Any) -> None:
        leases = self._limited._leases
        group = (gate or "").removeprefix("group:")
        if gate and keeps_key(gate) and leases and leases.state(group) == Circuit.OPEN:
            failure = Failure("circuit_open", "the provider fails", retryable=True)
            self._endings.end(attempt, Retry(time.wall + 500, failure), time)
        else:
            right(self, attempt, gate, time)

    return begin


def _without_lease(right: Any) -> Any:
    def lets_pass(self: Limited, attempt: Any, gate: str, time: Any) -> bool:
        called: bool = attempt.entry.passes
        attempt.entry.passes = False
        return called

    return lets_pass


def _lease_kept(right: Any) -> Any:
    def leave(self: Endings, attempt: Any) -> None:
        if not attempt.over:
            attempt.over, attempt.entry.under_way = True, None
            self._ready.free(attempt.entry)

    return leave


BUGS: dict[str, Mutation] = {
    "a job starts on a lease that has run out while it checked in": (Limited, "may_start", _any_lease),
    "an attempt is used up while the circuit is open": (Turns, "_begin", _used_up),
    "a job passes a provider's gate without a lease": (Limited, "lets_pass", _without_lease),
    "a lease is never given back when its check-in is lost": (Endings, "leave", _lease_kept),
    "those in the table wait when those in memory before a provider are gone": (Standing, "_fetch", nobody),
    "a job whose call has ended keeps its lease": (Limited, "ended", nobody),
}
