from prometheus_client import CollectorRegistry

from connectors.consuming.metrics import ConsumingMetrics


def test_of_several_consumers_the_furthest_behind_counts() -> None:
    registry = CollectorRegistry()
    metrics = ConsumingMetrics(registry)
    one, other = object(), object()

    def seconds() -> float | None:
        return registry.get_sample_value("sink_lag_seconds", {"target": "postgres"})

    metrics.behind("postgres", one, 7.0)
    metrics.behind("postgres", other, 2.0)
    assert seconds() == 7.0
    metrics.behind("postgres", one, 0.0)
    assert seconds() == 2.0


def test_a_target_is_away_as_long_as_it_is_for_one_of_them() -> None:
    registry = CollectorRegistry()
    metrics = ConsumingMetrics(registry)
    one, other = object(), object()

    def away() -> float | None:
        return registry.get_sample_value("sink_target_away", {"target": "postgres"})

    metrics.away("postgres", one, True)
    metrics.away("postgres", other, True)
    metrics.away("postgres", one, False)
    assert away() == 1.0
    metrics.away("postgres", other, False)
    assert away() == 0.0
