"""What the consumers that write to Postgres and Redis say about themselves."""

import threading
from collections import defaultdict

from prometheus_client import CollectorRegistry

from streams import metric_names as names


class ConsumingMetrics:
    """The metrics of every target of one process; `target` is `postgres` or `redis`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.batch_rows = names.SINK_ROWS.histogram(registry)
        self.commit_seconds = names.SINK_COMMIT.histogram(registry)
        self.records = names.SINK_RECORDS.counter(registry)
        self.lag = names.SINK_LAG.gauge(registry)
        self._lag_seconds = names.SINK_LAG_SECONDS.gauge(registry)
        self._away = names.SINK_AWAY.gauge(registry)
        self.refused = names.SINK_REFUSED.counter(registry)
        self.lost = names.SINK_LOST.counter(registry)
        self.poison = names.SINK_POISON.counter(registry)
        self._lock = threading.Lock()
        self._seconds: defaultdict[str, dict[object, float]] = defaultdict(dict)
        self._absent: defaultdict[str, set[object]] = defaultdict(set)

    def behind(self, target: str, consumer: object, seconds: float) -> None:
        """How old the last record is that a consumer wrote; the furthest behind of a target's counts."""
        with self._lock:
            self._seconds[target][consumer] = seconds
            self._lag_seconds.labels(target).set(max(self._seconds[target].values()))

    def away(self, target: str, consumer: object, is_away: bool) -> None:
        """Whether a consumer's target does not answer; one of them is enough."""
        with self._lock:
            absent = self._absent[target]
            absent.add(consumer) if is_away else absent.discard(consumer)
            self._away.labels(target).set(bool(absent))
