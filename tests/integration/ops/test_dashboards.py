"""Every panel's query asked of a real Prometheus that scrapes the whole running product."""

import math
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator

import httpx
import msgspec
import psycopg
import pytest
from confluent_kafka import Producer

from ops import prometheus
from ops.dashboards.boards import boards
from ops.dashboards.panel import Panel, Shape
from ops.rules import file
from schemas.records import JobRequest, LimitRequest
from streams.codec import Codec
from streams.settings import KafkaSettings
from streams.topics import Topology
from tests.prometheus import Prometheus
from tests.stack import TestStack

pytestmark = pytest.mark.skipif(prometheus.find("prometheus") is None, reason=prometheus.MISSING)

PANELS = [(board.name, panel) for board in boards() for panel in board.panels]
ALWAYS = [(name, panel) for name, panel in PANELS if not panel.quiet and not panel.sql]
LIMIT_S = 240.0


class Sender:
    """Asks for jobs as any producer does."""

    def __init__(self, stack: TestStack) -> None:
        kafka = KafkaSettings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": stack.state.kafka_bootstrap})
        self._gateway = stack.state.gateway_url
        self._topology = Topology.of(kafka)
        self._producer = Producer({"bootstrap.servers": stack.state.kafka_bootstrap})
        self._codec = Codec()

    def formulas(self, count: int) -> None:
        """Over HTTP; each of a document of its own."""
        for _ in range(count):
            data = {"documentId": uuid.uuid4().hex, "userId": "ada", "cellId": "A1", "formula": "=6*7"}
            body = {"queue": "robot", "type": "formula_calculation", "data": data}
            answer = httpx.post(f"{self._gateway}/api/v1/queue/jobs", json=body, timeout=60)
            assert answer.status_code in (201, 202), answer.text

    def payments(self, count: int) -> None:
        """They die at once: this stack has no Stripe. After 20 within a minute their type would be held."""
        for number in range(count):
            ids = {name: str(uuid.uuid4()) for name in ("userId", "venueId", "eventId")}
            data = {**ids, "amount": 1000 + number, "paymentMethod": "pm_card_visa"}
            request = JobRequest(
                str(uuid.uuid4()), "money", "payment-process", msgspec.json.encode(data).decode(),
                time.time_ns() // 1_000_000,
            )  # fmt: skip
            self._send(self._topology.job_requests, request, request.job_id.encode())

    def limits(self, number: int) -> None:
        """A worker's demand for a call of a provider."""
        request = LimitRequest("stripe", "tests", 1, number, wants=[1, 0, 0])
        self._send(self._topology.limit_requests, request, b"stripe")

    def _send(self, topic: str, record: JobRequest | LimitRequest, key: bytes) -> None:
        self._producer.produce(topic, self._codec.encode(record), key)
        assert self._producer.flush(60) == 0


@pytest.fixture(scope="module")
def sender(running_stack: TestStack) -> Sender:
    return Sender(running_stack)


@pytest.fixture(scope="module")
def watched(running_stack: TestStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    targets = {
        part.name: part.address.removeprefix("http://")
        for part in running_stack.state.parts
        if part.address.startswith("http://")
    }
    with Prometheus(tmp_path_factory.mktemp("prometheus"), targets, file.text("1s")) as server:
        yield server


def eventually(true: Callable[[], object], what: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.3)


def panel_of(name: str, title: str) -> Panel:
    (found,) = (panel for board, panel in PANELS if (board, panel.title) == (name, title))
    return found


def points(watched: Prometheus, expression: str, shape: Shape) -> list[float]:
    asked = watched.now if shape is Shape.TABLE else watched.lately
    return [value for _, values in asked(expression) for value in values]


def test_every_panel_shows_finite_values_of_a_system_at_work(watched: Prometheus, sender: Sender) -> None:
    open_queries = {
        (name, panel.title, query.expression) for name, panel in ALWAYS for query in panel.queries
    }
    shapes = {query.expression: panel.shape for _, panel in ALWAYS for query in panel.queries}
    deadline, round = time.monotonic() + LIMIT_S, 0
    while open_queries and time.monotonic() < deadline:
        round += 1
        sender.formulas(5)
        if round % 5 == 0 and round <= 30:
            sender.payments(1)
        sender.limits(round)
        for asked in list(open_queries):
            found = points(watched, asked[2], shapes[asked[2]])
            assert all(map(math.isfinite, found)), asked
            if found:
                open_queries.discard(asked)
    assert not open_queries, "\n".join(map(str, sorted(open_queries)))


def test_the_panels_that_are_empty_while_all_is_well_are_understood(watched: Prometheus) -> None:
    for name, panel in PANELS:
        for query in panel.queries:
            found = points(watched, query.expression, panel.shape)
            assert all(map(math.isfinite, found)), (name, panel.title)


def test_the_panels_of_postgres_are_understood(running_stack: TestStack) -> None:
    with psycopg.connect(running_stack.state.database_url) as connection:
        for _, panel in PANELS:
            if panel.sql:
                connection.execute(panel.sql.encode()).fetchall()


def test_failing_jobs_move_the_failure_panels(watched: Prometheus, sender: Sender) -> None:
    (failures,) = panel_of("job-performance", "Failures").queries
    (dead,) = panel_of("queue-overview", "Dead by queue").queries
    before = dict_of(watched, dead.expression, "queue_name").get("money", 0.0)
    sender.payments(12)
    eventually(
        lambda: dict_of(watched, failures.expression, "job_type").get("payment-process", 0) > 0.1,
        lambda: watched.now(failures.expression),
    )
    eventually(
        lambda: dict_of(watched, dead.expression, "queue_name").get("money", 0.0) >= before + 12,
        lambda: watched.now(dead.expression),
    )
    firing = 'ALERTS{alertstate="firing",alertname="MoneyJobsDead",severity="critical"}'
    eventually(lambda: watched.value(firing) == 1, lambda: watched.now("ALERTS"))


def test_with_every_worker_killed_the_lag_panels_rise_and_fall_when_they_are_back(
    running_stack: TestStack, watched: Prometheus, sender: Sender
) -> None:
    records, seconds, members = (
        panel_of("consumer-lag", title).queries[0].expression
        for title in ("Lag in records", "Lag in seconds", "Members")
    )

    def shown(expression: str) -> float:
        return dict_of(watched, expression, "consumergroup").get("tierflow.worker-2", -1.0)

    eventually(lambda: shown(records) == 0, lambda: watched.now(records))
    supervisor = running_stack.state.supervisor
    # A supervisor that is stopped starts nothing again.
    os.kill(supervisor, signal.SIGSTOP)
    try:
        for name in ("worker-1", "worker-2", "worker-3"):
            killed = running_stack.part(name).pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
        sender.formulas(7)
        eventually(lambda: shown(records) == 7, lambda: watched.now(records))
        eventually(lambda: shown(seconds) > 5, lambda: watched.now(seconds))
        eventually(lambda: shown(members) == 0, lambda: watched.now(members))
        # A scrape that took too long shows nothing for a moment.
        eventually(lambda: shown(records) == 7, lambda: watched.now(records))
    finally:
        os.kill(supervisor, signal.SIGCONT)
    eventually(lambda: shown(records) == 0, lambda: watched.now(records))
    eventually(lambda: shown(members) == 1, lambda: watched.now(members))


def dict_of(watched: Prometheus, expression: str, label: str) -> dict[str, float]:
    """The values of an expression now, summed by a label."""
    found: dict[str, float] = {}
    for labels, (value,) in watched.now(expression):
        found[labels.get(label, "")] = found.get(labels.get(label, ""), 0.0) + value
    return found
