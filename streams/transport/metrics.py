"""The engine's metrics as one object; `streams/metric_names.py` declares them."""

from prometheus_client import CollectorRegistry

from streams import metric_names as names


class EngineMetrics:
    """One set per registry and process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.transactions = names.TRANSACTIONS.counter(registry)
        self.records = names.RECORDS.counter(registry)
        self.aborts = names.ABORTS.counter(registry)
        self.fatals = names.FATALS.counter(registry)
        self.recoveries = names.RECOVERIES.counter(registry)
        self.lost_offsets = names.LOST_OFFSETS.counter(registry)
        self.guarded = names.WENT_BACK.counter(registry)
        self.stalled_fetches = names.STALLED_FETCHES.counter(registry)
        self.failed_steps = names.FAILED_STEPS.counter(registry)
        self.commit_seconds = names.COMMIT.histogram(registry)
        self.recovery_seconds = names.RECOVERY.histogram(registry)
        self.open_partitions = names.OPEN_PARTITIONS.gauge(registry)
        self.held_partitions = names.HELD_PARTITIONS.gauge(registry)
        self.paused_partitions = names.PAUSED_PARTITIONS.gauge(registry)
        self.window_used = names.WINDOW_USED.gauge(registry)
        self.unstable_seconds = names.UNSTABLE.gauge(registry)
