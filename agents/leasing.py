"""A worker's dealings with the limiter: what it asks for, what it is granted, and that it is heard at all."""

from collections.abc import Callable

from connectors.kafka.limit_link import LimitLink
from schemas.records import LimitGrant, LimitRequest
from streams.core.leases import Leases
from streams.core.machine import Machine
from streams.core.ports import Time
from streams.log import get
from streams.metrics import WorkerMetrics

log = get("tierflow.limits")

# A limiter that moves to another process says nothing for up to ten seconds.
SILENT_S = 15.0
SAID_EVERY_S = 30.0


class Leasing:
    """Carries the machine's requests out and the grants in. Everything happens in the worker's loop."""

    def __init__(
        self, leases: Leases, link: LimitLink, metrics: WorkerMetrics, present: Callable[[], Time]
    ) -> None:
        self.leases, self._link, self._metrics, self._present = leases, link, metrics, present
        self._machine: Machine
        self._said_at: dict[str, float] = {}
        self._silent: set[str] = set()

    def start(self, machine: Machine) -> None:
        """Begin, within the running loop."""
        self._machine = machine
        self._link.start(self._granted, self._delivered, self.leases.undelivered)

    def tick(self) -> None:
        """Send what is due; say so when jobs wait and the limiter does not answer."""
        self.ask()
        time = self._present()
        silent = self.leases.silent_for(time.steady)
        for group in self._silent - silent.keys():
            self._metrics.limiter_silent.labels(group).set(0)
        for group, seconds in silent.items():
            self._metrics.limiter_silent.labels(group).set(seconds)
            if seconds > SILENT_S and time.steady - self._said_at.get(group, float("-inf")) > SAID_EVERY_S:
                self._said_at[group] = time.steady
                log.warning(
                    "jobs wait for a limiter that does not answer", group=group, seconds=round(seconds)
                )
        self._silent = set(silent)

    def ask(self) -> None:
        """Send what is due."""
        self._link.send(self._machine.requests(self._present()))

    async def close(self) -> None:
        """Give the limiter a last word and stop."""
        await self._link.close()

    def _granted(self, grant: LimitGrant) -> None:
        self._machine.granted(grant, self._present())
        self.ask()

    def _delivered(self, request: LimitRequest) -> None:
        self.leases.delivered(request.group, request.number)
