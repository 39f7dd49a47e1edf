"""What the gateway counts."""

from prometheus_client import CollectorRegistry

from streams import metric_names as names


class GatewayMetrics:
    """The gateway's series; labels are routes and catalogue names, never ids."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = names.HTTP_REQUESTS.histogram(registry)
        self.accepted = names.ACCEPTED.counter(registry)
        self.away = names.SERVICE_AWAY.gauge(registry)
