"""The provider: counts the calls that it sees and knows what was promised to it.

The promises are typed again here: a core with other values must not move its own yardstick.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.simulation.violation import Violation
from schemas.limits import ProviderLimit
from schemas.records import LimitRequest, RateLimit
from streams.core.leases import Lease

if TYPE_CHECKING:
    from ops.simulation.limits.link import Link

SILENT_S, VALID_S, OPEN_S = 10.0, 0.5, 30.0
_CRUMB = 1e-6


@dataclass(eq=False)
class Call:
    """A call that the provider sees."""

    worker: "Link"
    lease: Lease
    began: float
    ended: bool = False


class Provider:
    """Checks each call as it begins."""

    def __init__(self, limit: ProviderLimit) -> None:
        self.limit = limit
        self.starts: list[float] = []
        self._calls: list[Call] = []
        self._renewed: dict[Link, float] = {}
        self._stopped_at: float | None = None
        self._circuit, self._changed_at, self._opened_at = "closed", 0.0, float("-inf")
        self._first_heard = 0.0
        self._pauses: list[tuple[float, float]] = []
        self._heard: list[tuple[float, float]] = []

    # -- what it hears of the others

    def renewed(self, worker: "Link", now: float) -> None:
        """The worker's slots are in the log."""
        self._renewed[worker] = now

    def stopped(self, now: float) -> None:
        """An operator has stopped all calls."""
        if self._stopped_at is None:
            self._stopped_at = now

    def resumed(self) -> None:
        """And lets them go on."""
        self._stopped_at = None

    def was_reset(self) -> None:
        """An operator has ended pauses and closed the circuit."""
        self._pauses, self._heard, self._circuit = [], [], "closed"

    def heard(self, request: LimitRequest, now: float) -> None:
        """The limiter hears what became of calls."""
        self._first_heard = self._first_heard or now
        if request.pause_ms is not None:
            pause_s = max(request.pause_ms, self.limit.cooldown_ms) / 1000
            self._heard.append((now, now + pause_s))

    def committed(self, row: RateLimit | None, now: float) -> None:
        """The limiter's table changed."""
        self._pauses += self._heard
        self._heard = []
        circuit = "closed" if row is None else row.circuit
        if circuit != self._circuit:
            if circuit == "open":
                self._opened_at = self._first_heard
            self._circuit, self._changed_at = circuit, now
        self._first_heard = 0.0

    # -- calls

    def called(self, call: Call, now: float) -> None:
        """A call begins."""
        self._check_rate(now)
        self._calls = [one for one in self._calls if not one.ended and self._counts(one, now)]
        self._calls.append(call)
        if len(self._calls) > self.limit.concurrent:
            raise Violation("never more calls at once", f"{len(self._calls)} of {self.limit.concurrent}")
        self._check_state(call, now)

    def _check_rate(self, now: float) -> None:
        self.starts.append(now)
        limit = self.limit
        for number, began in enumerate(reversed(self.starts), 1):
            if number > limit.burst + limit.per_second * (now - began) + _CRUMB:
                raise Violation("never more in any window", f"{number} calls in {now - began:.3f} s")

    def _counts(self, call: Call, now: float) -> bool:
        """Those of a worker that is gone, or stopped, count until it was silent for ten seconds."""
        worker = call.worker
        if not (worker.stopped or worker.gone):
            return True
        return now - self._renewed.get(worker, call.began) <= SILENT_S

    def _check_state(self, call: Call, now: float) -> None:
        if self._stopped_at is not None and now > self._stopped_at + VALID_S:
            raise Violation("a stop holds", f"a call {now - self._stopped_at:.3f} s after it")
        for heard, until in self._pauses:
            if heard + VALID_S < now < until - _CRUMB:
                raise Violation("a pause holds", f"a call {now - heard:.3f} s after the 429")
        if call.lease.probe:
            probes = sum(bool(one.lease.probe) for one in self._calls)
            if probes > 1:
                raise Violation("one probe", f"{probes} at once")
            if now < self._opened_at + OPEN_S - VALID_S:
                raise Violation("open for 30 s", f"a probe after {now - self._opened_at:.3f} s")
        elif self._circuit != "closed" and now > self._changed_at + VALID_S:
            raise Violation("an open circuit holds", f"a call while it is {self._circuit}")
