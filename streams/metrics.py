"""Every metric of the router and the workers, declared once; engine and connectors declare their own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

DURATIONS = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60)


class RouterMetrics:
    """What the router passed on."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.routed = Counter(
            "routed_records_total", "Records passed on, by topic", ["topic"], registry=registry
        )
        self.refused = Counter(
            "ingress_dead_letters_total", "Records that are no event and no job", ["topic"], registry=registry
        )
        self.skipped = Counter(
            "ingress_tombstones_total", "Records without a value", ["topic"], registry=registry
        )


class WorkerMetrics:
    """What became of the jobs of a tier."""

    def __init__(self, registry: CollectorRegistry) -> None:
        kind = ["queue_name", "job_type"]
        self.duration = Histogram(
            "job_processing_duration_seconds",
            "Time in the handler",
            kind,
            registry=registry,
            buckets=DURATIONS,
        )
        self.wait = Histogram(
            "job_wait_seconds", "From acceptance to the start of the handler", ["queue_name", "lane"],
            registry=registry, buckets=DURATIONS,
        )  # fmt: skip
        self.results = Counter("job_results_total", "Attempts and ends", [*kind, "result"], registry=registry)
        self.dead = Counter("dead_letters_total", "Dead letters", [*kind, "error_class"], registry=registry)
        self.retries = Counter(
            "retries_total", "Attempts that failed and are due again", kind, registry=registry
        )
        self.duplicates = Counter(
            "duplicates_total", "Jobs answered by an earlier one", kind, registry=registry
        )
        self.illegal = Counter(
            "illegal_transitions_total", "Refused changes of state", ["move"], registry=registry
        )
        self.running = Gauge("jobs_running", "Handlers that run now", registry=registry)
        self.in_memory = Gauge("jobs_in_memory", "Jobs read and not yet ended or parked", registry=registry)
