"""What the monitor exports, from the readings that it is given."""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry

from connectors.kafka.lag import PartitionLag, by_topic, total
from connectors.kafka.lag_trend import Trend, drain_s
from connectors.redis.figures import QueueFigures
from ops.monitor.series import Series
from schemas.catalogue import QUEUES
from schemas.states import State
from streams import metric_names as names

Seen = tuple[PartitionLag, Trend]


class MonitorMetrics:
    """The monitor's gauges. What could not be read is not exported, rather than exported as it was."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lag = Series(names.LAG.gauge(registry))
        self._lag_seconds = Series(names.LAG_SECONDS.gauge(registry))
        self._standing = Series(names.STANDING.gauge(registry))
        self._lost = Series(names.LOST.gauge(registry))
        self._read_rate = Series(names.READ_RATE.gauge(registry))
        self._written_rate = Series(names.WRITTEN_RATE.gauge(registry))
        self._drain = Series(names.DRAIN.gauge(registry))
        self._members = Series(names.MEMBERS.gauge(registry))
        self._hidden = Series(names.HIDDEN.gauge(registry))
        self._rewinds = names.REWINDS.counter(registry)
        self._rewinds_seen: dict[tuple[str, str], int] = {}
        self._depth = Series(names.QUEUE_DEPTH.gauge(registry))
        self._oldest = Series(names.OLDEST_JOB.gauge(registry))
        self._failed = Series(names.FAILED_JOBS.gauge(registry))
        self._workers = Series(names.ACTIVE_WORKERS.gauge(registry))
        self._up = names.SERVICE_UP.gauge(registry)
        self.reading_seconds = names.MONITOR_READING.gauge(registry)
        self.read_at = names.MONITOR_READ_AT.gauge(registry)

    def service(self, name: str, *, up: bool) -> None:
        """A service answered, or did not."""
        self._up.labels(name).set(up)

    def lag(self, seen: Sequence[Seen]) -> None:
        """Everything about groups and their positions; nothing of it when Kafka did not answer."""
        self._partitions(seen)
        self._topics(seen)

    def members(self, found: Mapping[str, int], workers: Mapping[int, str]) -> None:
        """How many processes are members of each group; `workers` has the group of each tier's workers."""
        self._members.show({(group,): count for group, count in found.items()})
        of_tier = {tier: found[group] for tier, group in workers.items() if group in found}
        queues = (queue for queue in QUEUES.values() if queue.tier.value in of_tier)
        self._workers.show({(queue.name,): of_tier[queue.tier.value] for queue in queues})

    def queues(self, found: Mapping[str, QueueFigures]) -> None:
        """How many jobs stand where; nothing when Redis did not answer."""
        self._depth.show(
            {
                (queue, state.value): figures.counts[state]
                for queue, figures in found.items()
                for state in State
            }
        )
        self._oldest.show({(queue,): figures.oldest_s for queue, figures in found.items()})
        self._failed.show({(queue,): figures.counts[State.DEAD] for queue, figures in found.items()})

    def _partitions(self, seen: Sequence[Seen]) -> None:
        known = {(lag.group, lag.topic, str(lag.partition)): (lag, trend) for lag, trend in seen}
        self._lag.show({place: lag.records for place, (lag, _) in known.items()})
        self._lag_seconds.show(
            {place: lag.seconds for place, (lag, _) in known.items() if lag.seconds is not None}
        )
        self._standing.show({place: trend.standing_s for place, (_, trend) in known.items()})

    def _topics(self, seen: Sequence[Seen]) -> None:
        trends = {(lag.group, lag.place): trend for lag, trend in seen}
        topics = by_topic(lag for lag, _ in seen)
        rates = {
            labels: _rates([trends[lag.group, lag.place] for lag in lags]) for labels, lags in topics.items()
        }
        self._read_rate.show({labels: rate[0] for labels, rate in rates.items()})
        self._written_rate.show({labels: rate[1] for labels, rate in rates.items()})
        self._lost.show({labels: total(lags).lost for labels, lags in topics.items()})
        self._hidden.show({(topic,): sum(lag.hidden for lag in lags) for (_, topic), lags in topics.items()})
        for labels, lags in topics.items():
            rewinds = sum(trends[lag.group, lag.place].rewinds for lag in lags)
            self._rewinds.labels(*labels).inc(max(0, rewinds - self._rewinds_seen.get(labels, 0)))
            self._rewinds_seen[labels] = rewinds
        self._drain.show(_drains(topics, rates))


def _rates(trends: Sequence[Trend]) -> tuple[float, float]:
    return sum(trend.read_rate for trend in trends), sum(trend.written_rate for trend in trends)


def _drains(
    topics: Mapping[tuple[str, str], Sequence[PartitionLag]],
    rates: Mapping[tuple[str, str], tuple[float, float]],
) -> dict[tuple[str, ...], float]:
    """A group is through when the last of its topics is."""
    found: dict[tuple[str, ...], float] = {}
    for labels, lags in topics.items():
        read, written = rates[labels]
        needed = drain_s(total(lags).records, read, written)
        found[labels[0],] = max(needed, found.get((labels[0],), 0.0))
    return found
