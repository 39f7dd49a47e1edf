"""The monitor's rounds: ask the brokers, ask the read model, export; what does not answer is said once."""

import threading
import time
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry

from connectors.consuming.kept import kept_positions
from connectors.consuming.positions import Place
from connectors.kafka.lag_reading import LagReading
from connectors.kafka.lag_trend import Trends
from connectors.kafka.readers import readers
from connectors.redis.figures import Figures
from ops.monitor.metrics import MonitorMetrics
from schemas.catalogue import QUEUES
from schemas.errors import UnavailableError
from schemas.tiers import Tier
from streams.log import get
from streams.settings import Settings
from streams.topics import Topology

log = get(__name__)

READY_S = 60.0
"""Ready while the brokers have answered within this time."""


class Watch:
    """Looks at everything each `interval_s`, in the thread that runs it."""

    def __init__(self, settings: Settings, registry: CollectorRegistry, interval_s: float) -> None:
        topology = Topology.of(settings.kafka)
        self._readers = readers(topology)
        self._workers = {tier.value: f"{topology.prefix}worker-{tier.value}" for tier in Tier}
        self._metrics = MonitorMetrics(registry)
        self._trends = Trends()
        self._up: dict[str, bool] = {}
        self._kafka = settings.kafka
        self._kept = {name: self._noting(name, ask) for name, ask in kept_positions(settings).items()}
        self._reading = LagReading(self._kafka, self._kept)
        self._figures = Figures(settings.redis.url.get_secret_value(), settings.kafka.topic_prefix)
        self._interval_s = interval_s
        self._read_at = float("-inf")

    @property
    def ready(self) -> bool:
        """Whether what is exported is fresh."""
        return time.monotonic() - self._read_at < READY_S

    def run(self, stop: threading.Event) -> None:
        """Look until `stop`. Blocks."""
        while not stop.is_set():
            began = time.monotonic()
            self.look()
            took = time.monotonic() - began
            self._metrics.reading_seconds.set(took)
            stop.wait(max(0.5, self._interval_s - took))
        self._reading.close()
        self._figures.close()

    def look(self) -> None:
        """One round."""
        self._ask("kafka", self._look_at_kafka, self._no_kafka)
        self._ask("redis", self._look_at_redis, self._no_redis)

    def _look_at_kafka(self) -> None:
        lags = self._reading.read(self._readers)
        members = self._reading.members([reader.group for reader in self._readers])
        now = time.monotonic()
        self._metrics.lag([(lag, self._trends.note(lag, now)) for lag in lags])
        self._metrics.members(members, self._workers)
        self._read_at = now
        self._metrics.read_at.set(time.time())

    def _no_kafka(self) -> None:
        # librdkafka's admin handle was seen to get no metadata any more after its broker had stood still.
        self._reading.close()
        self._reading = LagReading(self._kafka, self._kept)
        self._metrics.lag([])
        self._metrics.members({}, {})

    def _look_at_redis(self) -> None:
        self._metrics.queues(self._figures.read(list(QUEUES)))

    def _no_redis(self) -> None:
        self._metrics.queues({})

    def _ask(self, service: str, look: Callable[[], None], nothing: Callable[[], None]) -> None:
        """Look, or export nothing when the service is away."""
        try:
            look()
        except UnavailableError as error:
            self._note(service, error)
            nothing()
        else:
            self._note(service, None)

    def _noting(
        self, service: str, ask: Callable[[], Mapping[Place, int]]
    ) -> Callable[[], Mapping[Place, int]]:
        """The same question, and whether it was answered is noted."""

        def asked() -> Mapping[Place, int]:
            try:
                found = ask()
            except UnavailableError as error:
                self._note(service, error)
                raise
            self._note(service, None)
            return found

        return asked

    def _note(self, service: str, error: UnavailableError | None) -> None:
        self._metrics.service(service, up=error is None)
        if self._up.get(service) is not (error is None):
            self._up[service] = error is None
            log.info("service", service=service, up=error is None, reason=str(error or ""))
