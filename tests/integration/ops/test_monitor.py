"""`tierflow lag` and `tierflow report` beside a running product, found by its data folder."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from connectors.audit.watch import LedgerWatch
from connectors.kafka.admin import create_topics
from connectors.kafka.readers import readers
from ops.monitor.watch import Watch
from schemas.priorities import Lane
from schemas.tiers import Tier
from streams.codec import Codec
from streams.metric_names import LEDGER_JOBS, LEDGER_READ_AT
from streams.settings import KafkaSettings, Settings, load
from streams.topics import Topology
from tests.stack import ROOT, TestStack, clean_environment
from tests.unit.connectors.postgres.builders import job


def tierflow(stack: TestStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "ops.cli.main", *arguments),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=clean_environment({"TIERFLOW_DATA": str(stack.folder.root)}),
        timeout=240,
    )


def test_lag_tells_of_every_group_and_topic_where_it_stands(running_stack: TestStack) -> None:
    done = tierflow(running_stack, "lag", "--json", "--interval", "0.5")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    topology = Topology.of(KafkaSettings.model_validate({}))
    expected = {(reader.group, topic) for reader in readers(topology) for topic in reader.topics}
    assert {(line["group"], line["topic"]) for line in found} == expected
    assert {line["kept_in"] for line in found} == {"group", "postgres", "redis"}
    assert {line["lost"] for line in found} == {0}


def test_lag_has_an_exit_status_for_scripts(running_stack: TestStack) -> None:
    assert tierflow(running_stack, "lag", "--interval", "0.1", "--max-seconds", "3600").returncode == 0
    assert tierflow(running_stack, "lag", "--interval", "0.1", "--max-seconds", "-1").returncode == 1


def test_the_monitor_exports_the_view_from_outside(running_stack: TestStack) -> None:
    def text() -> str:
        with urllib.request.urlopen(f"{running_stack.part('monitor').address}/metrics", timeout=60) as answer:
            return str(answer.read().decode())

    for name in ("kafka_consumergroup_lag{", "kafka_consumergroup_lag_seconds{", "queue_depth{",
                 "oldest_job_age_seconds{", "failed_jobs_total{", "queue_active_workers{"):  # fmt: skip
        eventually(lambda name=name: name in text())  # type: ignore[misc]
    for service in ("kafka", "postgres", "redis"):
        up = f'service_up{{service="{service}"}} 1.0'
        eventually(lambda up=up: up in text())  # type: ignore[misc]


def test_the_report_is_a_page(running_stack: TestStack, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = tierflow(running_stack, "report", "--since", "10m", "--output", str(page))
    assert (done.returncode, done.stdout.strip()) == (0, str(page)), done.stderr
    assert page.read_text().startswith("<!doctype html>")


def test_a_report_of_no_duration_is_refused(running_stack: TestStack) -> None:
    done = tierflow(running_stack, "report", "--since", "yesterday")
    assert done.returncode == 2
    assert "no duration" in done.stderr


STANDS_STILL_S = 40.0


@pytest.fixture
def own_services(tmp_path: Path) -> Iterator[TestStack]:
    with TestStack(tmp_path / "services", "--infrastructure") as stack:
        yield stack


def test_a_broker_that_stood_still_is_read_again_when_it_goes_on(
    own_services: TestStack, caplog: pytest.LogCaptureFixture
) -> None:
    state, broker = own_services.state, own_services.part("kafka-1").pid
    assert broker is not None
    settings = load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": state.kafka_bootstrap,
            "DATABASE_URL": state.database_url,
            "REDIS_URL": state.redis_url,
            "TIERFLOW_REPLICATION": "1",
            "TIERFLOW_PARTITIONS": "2",
        }
    )
    registry, stop = CollectorRegistry(), threading.Event()
    watch, ledger = Watch(settings, registry, 0.5), LedgerWatch(settings.kafka, Codec(), registry)
    create_topics(settings.kafka)
    looking = [
        threading.Thread(target=one, args=(stop, *more)) for one, *more in ((watch.run,), (ledger.run, 0.5))
    ]

    def kafka_is(up: int) -> bool:
        return registry.get_sample_value("service_up", {"service": "kafka"}) == up

    def ledger_is(came: int, after: float) -> bool:
        read_at = registry.get_sample_value(LEDGER_READ_AT.name) or 0
        return read_at > after and came == registry.get_sample_value(
            LEDGER_JOBS.name, {"tier": "1", "fate": "came"}
        )

    for thread in looking:
        thread.start()
    try:
        eventually(lambda: kafka_is(1))
        send_job(settings, "before")
        eventually(lambda: ledger_is(1, 0))
        os.kill(broker, signal.SIGSTOP)
        try:
            eventually(lambda: kafka_is(0))
            # So long that several requests have timed out: then its old handles heard nothing any more.
            time.sleep(STANDS_STILL_S)
        finally:
            os.kill(broker, signal.SIGCONT)
        went_on = time.time()
        eventually(lambda: kafka_is(1))
        send_job(settings, "after")
        eventually(lambda: ledger_is(2, went_on))
        assert "the ledger failed" not in caplog.text
    finally:
        stop.set()
        for thread in looking:
            thread.join(120)


def send_job(settings: Settings, job_id: str) -> None:
    one = msgspec.structs.replace(job(job_id, tier=1), accepted_at=time.time_ns() // 1_000_000)
    producer = Producer(settings.kafka.client())
    lane = Topology.of(settings.kafka).lane(Tier.CRITICAL, Lane.NORMAL)
    producer.produce(lane, Codec().encode(one), one.ordering_key)
    assert producer.flush(60) == 0


def eventually(true: Callable[[], bool], limit_s: float = 180.0) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
