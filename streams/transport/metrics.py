"""The engine's metrics. Every name is declared here, once."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_COMMIT_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_RECOVERY_BUCKETS = (0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)


class EngineMetrics:
    """One set per registry and process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def counter(name: str, text: str) -> Counter:
            return Counter(f"tierflow_engine_{name}", text, registry=registry)

        self.transactions = counter("transactions", "Transactions committed.")
        self.records = counter("records", "Source offsets completed by committed transactions.")
        self.aborts = counter("aborts", "Transactions aborted and written again from memory.")
        self.fatals = counter("fatals", "Losses of the producer: all state dropped and read again.")
        self.recoveries = counter("recoveries", "Recoveries of one or more partitions.")
        self.lost_offsets = counter(
            "lost_offsets", "Source offsets that were gone before they were read. Alert."
        )
        self.guarded = counter("offsets_went_back", "Group offsets found behind the changelog's. Alert.")
        self.stalled_fetches = counter("stalled_fetches", "Fetches that stopped before the log's end.")
        self.failed_steps = counter(
            "failed_steps", "Steps an agent left with an exception; their records stay open."
        )
        self.commit_seconds = Histogram(
            "tierflow_engine_commit_seconds",
            "From the begin of a transaction to its commit, repeats included.",
            buckets=_COMMIT_BUCKETS,
            registry=registry,
        )
        self.recovery_seconds = Histogram(
            "tierflow_engine_recovery_seconds",
            "From the assignment to the first record of the partitions recovered together.",
            buckets=_RECOVERY_BUCKETS,
            registry=registry,
        )
        self.open_partitions = Gauge(
            "tierflow_engine_open_partitions", "Partition numbers open in this process.", registry=registry
        )
        self.held_partitions = Gauge(
            "tierflow_engine_held_partitions",
            "Source partitions held back by the application.",
            registry=registry,
        )
        self.paused_partitions = Gauge(
            "tierflow_engine_paused_partitions", "Source partitions with a full window.", registry=registry
        )
        self.window_used = Gauge(
            "tierflow_engine_window_used_ratio",
            "The fullest window of open offsets, 0..1.",
            registry=registry,
        )
        self.unstable_seconds = Gauge(
            "tierflow_engine_unstable_offsets_seconds",
            "How long a recovery has been waiting for another transaction to end. Alert above 60.",
            registry=registry,
        )
