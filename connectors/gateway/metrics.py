"""What the gateway counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class GatewayMetrics:
    """The gateway's series; labels are routes and catalogue names, never ids."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Histogram(
            "http_request_duration_seconds",
            "Time from a request's arrival to the last byte of its answer.",
            ["route", "method", "status"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.accepted = Counter(
            "gateway_accepted_total",
            "Jobs and events that Kafka acknowledged.",
            ["queue_name", "job_type"],
            registry=registry,
        )
        self.away = Gauge(
            "gateway_service_away",
            "1 while a service was found away when last asked.",
            ["service"],
            registry=registry,
        )
