"""What the consumers that write to Postgres and Redis say about themselves."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_ROWS = (1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ConsumingMetrics:
    """The metrics of every target of one process; `target` is `postgres` or `redis`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.batch_rows = Histogram(
            "sink_batch_rows", "Rows of a batch.", ["target"], buckets=_ROWS, registry=registry
        )
        self.commit_seconds = Histogram(
            "sink_commit_seconds",
            "Seconds that writing a batch took.",
            ["target"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.records = Counter("sink_records_total", "Records written.", ["target"], registry=registry)
        self.lag = Gauge(
            "sink_lag_records",
            "Records of a partition that are not written yet.",
            ["target", "topic", "partition"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "sink_lag_seconds",
            "Age of the last written record while others wait.",
            ["target"],
            registry=registry,
        )
        self.away = Gauge("sink_target_away", "1 while the target is away.", ["target"], registry=registry)
        self.refused = Counter(
            "sink_batches_refused_total",
            "Batches dropped because another writer had moved the position.",
            ["target"],
            registry=registry,
        )
        self.lost = Counter(
            "sink_lost_offsets_total",
            "Offsets that the log no longer had when read.",
            ["target"],
            registry=registry,
        )
        self.poison = Counter(
            "sink_poison_records_total", "Records that could not be written.", ["target"], registry=registry
        )
