"""Bugs in the limiter and in leases, looked for by the schedules of a provider's limit alone."""

from collections.abc import Callable
from typing import Any

import msgspec

from ops.simulation.bugs.wrong import Mutation
from schemas.limits import ProviderLimit
from streams.core import breaker, limiter
from streams.core.leases import Lease, Leases
from streams.core.limiter import Limiter


def _value(wrong: Any) -> Callable[[Any], Any]:
    return lambda _: wrong


def _full_bucket(right: Any) -> Any:
    def restore(self: Limiter, row: Any, time: Any) -> None:
        right(self, row, time)
        self._tokens = self.limit.capacity

    return restore


def _without(**members: Any) -> Callable[[Any], Any]:
    """A take-over that forgets something of the row."""

    def wrong(right: Any) -> Any:
        def restore(self: Limiter, row: Any, time: Any) -> None:
            right(self, row, time)
            for name, value in members.items():
                setattr(self, name, type(value)(value) if isinstance(value, dict) else value)

        return restore

    return wrong


def _grants_forgotten(right: Any) -> Any:
    def asked(self: Limiter, request: Any, log_time: int, time: Any) -> None:
        holder = self.holders.get((request.worker, request.incarnation))
        if holder is not None:
            holder.granted = []
        right(self, request, log_time, time)

    return asked


def _two_probes(right: Any) -> Any:
    def probing(self: Limiter, time: Any) -> Any:
        grant = right(self, time)
        self._prober = ("", 0)
        return grant

    return probing


def _all_seen(right: Any) -> Any:
    def request(self: Leases, name: str, at: Any, wants: Any, now: float) -> Any:
        made = right(self, name, at, wants, now)
        return msgspec.structs.replace(made, seen=made.number - 1)

    return request


def _from_arrival(right: Any) -> Any:
    def granted(self: Leases, grant: Any, now: float) -> bool:
        at = self._groups.get(grant.group)
        if at is not None and grant.number in at.sent:
            at.sent[grant.number] = now
        taken: bool = right(self, grant, now)
        return taken

    return granted


def _tokens_not_counted(right: Any) -> Any:
    def request(self: Leases, name: str, at: Any, wants: Any, now: float) -> Any:
        tokens, at.tokens = at.tokens, []
        made = right(self, name, at, wants, now)
        at.tokens = tokens
        return made

    return request


def _released_at_the_start(right: Any) -> Any:
    def take(self: Leases, group: str, now: float) -> Any:
        lease = right(self, group, now)
        if lease is not None:
            del self._groups[group].running[lease]
            lease.over = True
        return lease

    return take


def _never_given_back(right: Any) -> Any:
    def release(self: Leases, lease: Lease, end: Any) -> None:
        if lease.until % 1 < 0.5:
            right(self, lease, end)
        else:
            lease.over = True

    return release


BUGS: dict[str, Mutation] = {
    "a lease is used after its deadline": (Lease, "is_good", _value(lambda self, now: True)),
    "a token is good from its arrival on": (Leases, "granted", _from_arrival),
    "a grant is taken though it was declared unused": (Leases, "_request", _all_seen),
    "tokens that wait are not stated as held": (Leases, "_request", _tokens_not_counted),
    "a slot is given back when the call starts": (Leases, "take", _released_at_the_start),
    "a slot is never given back": (Leases, "release", _never_given_back),
    "calls go on without slots": (Leases, "lost", _value(lambda self, now: [])),
    "slots are freed too early": (limiter, "SLOT_S", _value(4.0)),
    "grants under way are forgotten": (Limiter, "asked", _grants_forgotten),
    "the bucket holds the whole burst": (
        ProviderLimit, "capacity", _value(property(lambda self: float(self.burst))),
    ),
    "a next owner starts with a full bucket": (Limiter, "_restore", _full_bucket),
    "a next owner forgets the slots": (Limiter, "_restore", _without(holders={})),
    "a next owner forgets the stop": (Limiter, "_restore", _without(stopped=False)),
    "a next owner forgets the pause": (Limiter, "_restore", _without(_closed_until=0.0)),
    "two probes at a time": (Limiter, "_probing", _two_probes),
    "the circuit is tried again too early": (breaker, "OPEN_S", _value(5.0)),
}  # fmt: skip
