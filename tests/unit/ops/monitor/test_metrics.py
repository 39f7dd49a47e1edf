import math

from prometheus_client import CollectorRegistry

from connectors.kafka.lag import PartitionLag, State
from connectors.kafka.lag_trend import Trend
from connectors.redis.figures import QueueFigures
from ops.monitor.metrics import MonitorMetrics
from schemas.states import State as JobState


class Exported:
    """The monitor's metrics and what Prometheus would find there."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = MonitorMetrics(self.registry)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def count(self, name: str) -> int:
        families = self.registry.collect()
        return len([sample for family in families for sample in family.samples if sample.name == name])


def lag(
    records: int, seconds: float | None = 1.0, *, topic: str = "t", partition: int = 0, lost: int = 0
) -> PartitionLag:
    return PartitionLag("g", topic, partition, 5, 5 + records, records, True, seconds, lost)


MOVING = Trend(State.MOVING, read_rate=10.0, written_rate=2.0)


def test_each_partition_has_its_lag_in_records_and_in_seconds() -> None:
    exported = Exported()
    exported.metrics.lag([(lag(7, 3.5), MOVING), (lag(1, 9.0, partition=1), MOVING)])
    assert exported("kafka_consumergroup_lag", consumergroup="g", topic="t", partition="0") == 7
    assert exported("kafka_consumergroup_lag_seconds", consumergroup="g", topic="t", partition="1") == 9.0


def test_an_age_that_is_not_known_is_not_exported() -> None:
    exported = Exported()
    exported.metrics.lag([(lag(7, None), MOVING)])
    assert exported("kafka_consumergroup_lag", consumergroup="g", topic="t", partition="0") == 7
    assert exported.count("kafka_consumergroup_lag_seconds") == 0


def test_what_is_no_longer_read_is_no_longer_exported() -> None:
    exported = Exported()
    exported.metrics.lag([(lag(7), MOVING), (lag(1, partition=1), MOVING)])
    exported.metrics.lag([(lag(7), MOVING)])
    assert exported.count("kafka_consumergroup_lag") == 1
    exported.metrics.lag([])
    assert exported.count("kafka_consumergroup_lag") == 0


def test_a_group_is_drained_when_its_slowest_topic_is() -> None:
    exported = Exported()
    exported.metrics.lag([(lag(16), MOVING), (lag(80, topic="u"), MOVING)])
    assert exported("kafka_consumergroup_drain_seconds", consumergroup="g") == 10.0


def test_a_group_that_stands_never_drains() -> None:
    exported = Exported()
    exported.metrics.lag([(lag(16), Trend(State.STALLED, standing_s=70.0))])
    assert exported("kafka_consumergroup_drain_seconds", consumergroup="g") == math.inf
    standing = exported("kafka_consumergroup_standing_seconds", consumergroup="g", topic="t", partition="0")
    assert standing == 70.0


def test_a_rewind_is_counted_once_and_stands_at_zero_before() -> None:
    exported = Exported()
    name = "kafka_consumergroup_rewinds_total"
    exported.metrics.lag([(lag(1), MOVING)])
    assert exported(name, consumergroup="g", topic="t") == 0
    for _ in range(3):
        exported.metrics.lag([(lag(1), Trend(State.REWOUND, rewinds=1))])
    assert exported(name, consumergroup="g", topic="t") == 1


def test_lost_offsets_are_those_of_all_partitions() -> None:
    exported = Exported()
    exported.metrics.lag([(lag(1, lost=3), MOVING), (lag(1, lost=4, partition=1), MOVING)])
    assert exported("kafka_consumergroup_lost_offsets", consumergroup="g", topic="t") == 7


def test_a_queue_has_the_workers_of_its_tier() -> None:
    exported = Exported()
    exported.metrics.members({"w1": 2, "w2": 5}, {1: "w1", 2: "w2"})
    assert exported("queue_active_workers", queue_name="money") == 2
    assert exported("queue_active_workers", queue_name="robot") == 5
    assert exported("queue_active_workers", queue_name="background") is None


def test_a_queue_shows_every_state_its_oldest_job_and_its_dead() -> None:
    exported = Exported()
    counts = dict.fromkeys(JobState, 0) | {JobState.WAITING: 4, JobState.DEAD: 2}
    exported.metrics.queues({"money": QueueFigures(counts, 12.5)})
    assert exported("queue_depth", queue_name="money", status="waiting") == 4
    assert exported("queue_depth", queue_name="money", status="active") == 0
    assert exported("oldest_job_age_seconds", queue_name="money") == 12.5
    assert exported("failed_jobs_total", queue_name="money") == 2
    exported.metrics.queues({})
    assert exported.count("queue_depth") == 0
