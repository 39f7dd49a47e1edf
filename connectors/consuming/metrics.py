"""What the consumers that write to Postgres and Redis say about themselves."""

from prometheus_client import CollectorRegistry

from streams import metric_names as names


class ConsumingMetrics:
    """The metrics of every target of one process; `target` is `postgres` or `redis`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.batch_rows = names.SINK_ROWS.histogram(registry)
        self.commit_seconds = names.SINK_COMMIT.histogram(registry)
        self.records = names.SINK_RECORDS.counter(registry)
        self.lag = names.SINK_LAG.gauge(registry)
        self.lag_seconds = names.SINK_LAG_SECONDS.gauge(registry)
        self.away = names.SINK_AWAY.gauge(registry)
        self.refused = names.SINK_REFUSED.counter(registry)
        self.lost = names.SINK_LOST.counter(registry)
        self.poison = names.SINK_POISON.counter(registry)
