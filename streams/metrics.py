"""The metrics of the router, the workers and the limiter, an object each; `metric_names` declares them."""

from contextlib import suppress

from prometheus_client import CollectorRegistry

from streams import metric_names as names


class RouterMetrics:
    """What the router passed on."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.routed = names.ROUTED.counter(registry)
        self.refused = names.REFUSED.counter(registry)
        self.skipped = names.TOMBSTONES.counter(registry)


class WorkerMetrics:
    """What became of the jobs of a tier."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = names.DURATION.histogram(registry)
        self.wait = names.WAIT.histogram(registry)
        self.results = names.JOB_RESULTS.counter(registry)
        self.dead = names.DEAD_LETTERS.counter(registry)
        self.retries = names.RETRIES.counter(registry)
        self.duplicates = names.DUPLICATES.counter(registry)
        self.illegal = names.ILLEGAL.counter(registry)
        self.rate_wait = names.RATE_WAIT.histogram(registry)
        self.limiter_silent = names.LIMITER_SILENT.gauge(registry)
        self.running = names.RUNNING.gauge(registry)
        self.overdue = names.OVERDUE.gauge(registry)
        self.in_memory = names.IN_MEMORY.gauge(registry)
        self.caps = names.CAP_REACHED.counter(registry)
        self.held = names.HELD.counter(registry)
        self.expired = names.EXPIRED.counter(registry)


CIRCUIT = {"closed": 0, "half_open": 1, "open": 2}


class LimiterMetrics:
    """The providers' limits as their owner sees them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tokens = names.TOKENS.gauge(registry)
        self._slots = names.CONCURRENT.gauge(registry)
        self._circuit = names.CIRCUIT.gauge(registry)
        self._stopped = names.STOPPED.gauge(registry)
        self.requests = names.LIMIT_REQUESTS.counter(registry)
        self.tokens_granted = names.TOKENS_GRANTED.counter(registry)

    def show(self, group: str, tokens: float, slots: int, state: str, *, stopped: bool) -> None:
        """The figures of a group as they are now."""
        self._tokens.labels(group).set(tokens)
        self._slots.labels(group).set(slots)
        self._stopped.labels(group).set(stopped)
        if state in CIRCUIT:
            self._circuit.labels(group).set(CIRCUIT[state])

    def forget(self, group: str) -> None:
        """Another process owns the group now."""
        for gauge in (self._tokens, self._slots, self._circuit, self._stopped):
            with suppress(KeyError):
                gauge.remove(group)
