"""Metrics are declared once, and whatever their callers pass, their series stay few."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from schemas.catalogue import JOB_TYPES
from streams import metric_names
from streams.metric import OTHER, Kind, Label, Metric
from streams.metric_names import METRICS

ROOT = Path(__file__).parents[3]
ROOMS = ("streams", "connectors", "agents", "ops")
MAKERS = {
    "Counter", "Gauge", "Histogram", "Summary", "Info", "Enum", "CounterMetricFamily", "GaugeMetricFamily",
}  # fmt: skip
FORBIDDEN_LABELS = {
    "job_id",
    "document_id",
    "user_id",
    "tenant_id",
    "request_id",
    "key",
    "path",
    "url",
    "message",
}
IN_SPEC_LATER = {"alerts_sent_total", "live_clients", "webhook_deliveries_total"}
"""Alerts, live updates and webhooks are not there yet: a metric that nothing counts would be a lie."""


def made(metric: Metric) -> MetricWrapperBase:
    registry = CollectorRegistry()
    makers = {Kind.COUNTER: metric.counter, Kind.GAUGE: metric.gauge, Kind.HISTOGRAM: metric.histogram}
    found: MetricWrapperBase = makers[metric.kind](registry)
    return found


def made_directly(path: Path) -> Iterator[str]:
    """What a file makes of the library's classes; a type annotation makes nothing."""
    tree = ast.parse(path.read_text())
    imported = {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_client")
        for name in node.names
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in imported & MAKERS
        ):
            yield node.func.id


def test_no_metric_is_made_but_from_its_declaration() -> None:
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            assert not list(made_directly(path)), path


def test_every_name_is_declared_once() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_says_its_unit_and_its_kind(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]+", metric.name)
    assert metric.help.endswith(".")
    if metric.kind is Kind.COUNTER or metric.name == "failed_jobs_total":
        assert metric.name.endswith("_total")
    else:
        assert not metric.name.endswith("_total")
    if metric.unit:
        assert f"_{metric.unit}" in metric.name
    assert bool(metric.buckets) is (metric.kind is Kind.HISTOGRAM)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_no_label_is_an_id_and_the_series_of_a_process_are_few(metric: Metric) -> None:
    assert not FORBIDDEN_LABELS & {label.name for label in metric.labels}
    # Partitions and groups are the deployment's; what a process can make of one name stays a page.
    limits = 1 if metric.kind is not Kind.HISTOGRAM else len(metric.buckets) + 3
    closed = [label for label in metric.labels if label.known is not None]
    assert all(label.known is not None or label.limit for label in metric.labels)
    assert limits * Metric("", metric.kind, "", tuple(closed)).most_series <= 10_000


@given(values=st.lists(st.text(max_size=20), min_size=1, max_size=300))
def test_whatever_is_passed_as_a_label_the_series_stay_bounded(values: list[str]) -> None:
    metric = Metric(
        "tried_total", Kind.COUNTER, "Tried.", (Label("a", "", lambda: ("x", "y")), Label("b", "", limit=3))
    )
    registry = CollectorRegistry()
    counter = metric.counter(registry)
    for value in [*values, "x", "y"]:
        counter.labels(value, value).inc()
        counter.labels(a=value, b="fixed").inc()
    series = [s for family in registry.collect() for s in family.samples if s.name == "tried_total"]
    assert len(series) <= metric.most_series == 3 * 4
    assert {s.labels["a"] for s in series} <= {"x", "y", OTHER}
    assert sum(s.value for s in series) == 2 * (len(values) + 2)


def test_a_job_type_is_one_of_the_catalogue_or_other() -> None:
    counter = metric_names.RETRIES.counter(CollectorRegistry())
    counter.labels("money", "payment-process").inc()
    counter.labels("money", "payment-process-of-user-7").inc()
    found = {sample.labels["job_type"] for family in counter.collect() for sample in family.samples}
    assert found == {"payment-process", OTHER}
    assert metric_names.TYPE.known is not None
    assert metric_names.TYPE.known() is JOB_TYPES


def test_a_removed_series_is_gone_and_may_come_back() -> None:
    gauge = metric_names.TOKENS.gauge(CollectorRegistry())
    gauge.labels("stripe").set(3)
    gauge.remove("stripe")
    assert not [sample for family in gauge.collect() for sample in family.samples]
    gauge.labels("stripe").set(4)
    assert [sample.value for family in gauge.collect() for sample in family.samples] == [4]


def test_a_metric_is_made_only_as_what_it_is_declared() -> None:
    with pytest.raises(TypeError, match="declared as a counter"):
        metric_names.RETRIES.gauge(CollectorRegistry())


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_declared_metric_can_be_made_with_its_labels(metric: Metric) -> None:
    found = made(metric)
    if metric.labels:
        found.labels(*("x" for _ in metric.labels))
    with pytest.raises(ValueError, match="label"):
        found.labels(*("x" for _ in range(len(metric.labels) + 1)))


def test_the_names_of_the_specification_are_all_there() -> None:
    expected = {
        "queue_depth": {"queue_name", "status"},
        "job_processing_duration_seconds": {"queue_name", "job_type"},
        "job_wait_seconds": {"queue_name", "lane"},
        "job_results_total": {"queue_name", "job_type", "result"},
        "oldest_job_age_seconds": {"queue_name"},
        "failed_jobs_total": {"queue_name"},
        "queue_active_workers": {"queue_name"},
        "dead_letters_total": {"queue_name", "job_type", "error_class"},
        "retries_total": {"queue_name", "job_type"},
        "duplicates_total": {"queue_name", "job_type"},
        "rate_limit_tokens": {"group"},
        "rate_limit_concurrent": {"group"},
        "rate_limit_wait_seconds": {"group"},
        "circuit_state": {"group"},
        "kafka_consumergroup_lag": {"consumergroup", "topic", "partition"},
        "kafka_consumergroup_lag_seconds": {"consumergroup", "topic", "partition"},
        "sink_batch_rows": {"target"},
        "sink_commit_seconds": {"target"},
        "http_request_duration_seconds": {"route", "method", "status"},
    }
    found = {metric.name: {label.name for label in metric.labels} for metric in METRICS}
    assert {name: found.get(name) for name in expected} == expected
    assert not IN_SPEC_LATER & found.keys()
