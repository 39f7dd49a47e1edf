"""The leases of a worker at its gates: which jobs wait for a provider, and which may start.

A job of a limited group waits at the gate `group:<name>`, which is never open: tokens let as many through as
there are. The lease is taken when the job's turn has come and is looked at again right before its handler
starts; one that has waited too long, for a slot or a commit, is given back, and the job waits anew.
"""

from collections.abc import Iterator

from schemas.records import Failure, LimitGrant, LimitRequest
from streams.core.attempt import Attempt
from streams.core.gates import PROCESS_GATE, Gates, group_gate
from streams.core.leases import CallEnd, Lease, Leases
from streams.core.places import Places
from streams.core.ports import Time

NOT_STARTED = CallEnd()
_PREFIX = group_gate("")
# Failures on our side, before a provider was asked: they say nothing of it.
_OURS = frozenset({
    "validation", "unsupported", "configuration", "template", "unknown_template", "environment", "header",
    "result_no_json", "result_too_large", "permanent",
})  # fmt: skip


class Limited:
    """`leases` None: no provider is limited."""

    def __init__(self, leases: Leases | None, gates: Gates, places: Places) -> None:
        self._leases, self._gates, self._places = leases, gates, places
        self._running: dict[Lease, Attempt] = {}
        for group in leases.groups if leases is not None else ():
            gates.closed.add(group_gate(group))

    def lets_pass(self, attempt: Attempt, gate: str, time: Time) -> bool:
        """Whether the job may go through a closed gate; it has a lease then, if it needs one."""
        entry, group = attempt.entry, gate.removeprefix(_PREFIX)
        called, entry.passes = entry.passes, False
        if gate == PROCESS_GATE:
            return self._places.take(attempt, called)
        if self._leases is None or not self._leases.is_limited(group):
            return called
        if not called and self._gates.waiting(gate):
            return False  # others were first
        lease = self._leases.take(group, time.steady)
        if lease is None:
            return False
        attempt.lease = lease
        self._running[lease] = attempt
        if entry.stood is not None:
            attempt.stood_s = time.steady - entry.stood
        return True

    def may_start(self, attempt: Attempt, time: Time) -> bool:
        """Whether its token is still good; if not, it is given back."""
        lease = attempt.lease
        if lease is None or (not lease.over and lease.is_good(time.steady)):
            return True
        self.ended(attempt, NOT_STARTED)
        return False

    def ended(self, attempt: Attempt, end: CallEnd) -> None:
        """The call has ended, or never started: its slot is free. Only the first word counts."""
        self._places.give_back(attempt)
        lease = attempt.lease
        if self._leases is not None and lease is not None and self._running.pop(lease, None) is not None:
            self._leases.release(lease, end)

    def lost(self, time: Time) -> Iterator[Attempt]:
        """Calls whose slots may soon be another's, each once."""
        if self._leases is None:
            return
        for lease in self._leases.lost(time.steady):
            attempt = self._running.get(lease)
            if attempt is not None and not attempt.lease_lost:
                attempt.lease_lost = True
                yield attempt

    def requests(self, free: int, time: Time) -> list[LimitRequest]:
        """What is to be sent to the limiter; at most so many jobs could start as slots are `free`."""
        if self._leases is None:
            return []
        demand = {
            group: _first(self._gates.by_lane(group_gate(group)), free)
            for group in self._leases.groups
            if self._gates.waiting(group_gate(group))
        }
        return self._leases.requests(demand, time.steady)

    def granted(self, grant: LimitGrant, time: Time) -> int:
        """How many jobs may pass now."""
        if self._leases is None or not self._leases.granted(grant, time.steady):
            return 0
        return self._leases.unspent(grant.group, time.steady)


def end_of(failure: Failure, retry_after_s: float | None) -> CallEnd:
    """What a failed attempt says of its provider: it fails, it wants a pause, it works, or nothing."""
    error_class = failure.error_class
    if error_class == "rate_limited":
        return CallEnd(True, round((retry_after_s or 0) * 1000))
    if error_class in ("timeout", "connection") or error_class.startswith("provider_5"):
        return CallEnd(False)
    return CallEnd(True) if not failure.retryable and error_class not in _OURS else CallEnd()


def _first(wants: list[int], free: int) -> list[int]:
    """The most urgent of them, `free` at most."""
    asked = []
    for want in wants:
        asked.append(min(want, free))
        free -= asked[-1]
    return asked
