"""`tierflow recover`: a Kafka that is gone for good, and its jobs handed in again to a new one, once."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.kafka.murmur import partition_of
from connectors.kafka.reading import Reader
from connectors.postgres.migrate import migrate
from schemas.commands import is_command
from schemas.keys import digest
from schemas.records import IdempotencyEntry, Job, JobRequest, Lifecycle, Transition
from schemas.tiers import Tier
from tests.integration.connectors.sinking import (
    CODEC,
    Feed,
    SinkProcess,
    await_true,
    offsets,
    running,
    scalar,
)
from tests.stack import ROOT, clean_environment
from tests.unit.connectors.postgres.builders import completed, failed, job, lifecycle, started

AT = int((time.time() - 3_600) * 1000)
LATER = int((time.time() + 86_400) * 1000)


class Clusters:
    """Topics that are lost and come back empty, under the same names: to clients another cluster."""

    def __init__(self, bootstrap: str) -> None:
        self.feed = Feed.create(bootstrap, f"recover-{secrets.token_hex(3)}.", partitions=2)

    def lose(self) -> None:
        """What was in Kafka is gone; empty topics take its place."""
        self.feed = self.feed.made_anew()


@pytest.fixture
def clusters(kafka_bootstrap: str) -> Iterator[Clusters]:
    made = Clusters(kafka_bootstrap)
    yield made
    made.feed.delete()


@pytest.fixture
def database(database_url: str) -> str:
    migrate(database_url, 0)
    migrate(database_url)
    return database_url


def run(clusters: Clusters, database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    kafka = clusters.feed.kafka
    environment = clean_environment(
        {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TIERFLOW_TOPIC_PREFIX": kafka.topic_prefix,
            "TIERFLOW_PARTITIONS": "2",
            "TIERFLOW_REPLICATION": "1",
            "DATABASE_URL": database,
        }
    )
    return subprocess.run(
        [sys.executable, "-m", "ops.cli.main", "recover", "--json", *arguments],
        cwd=ROOT, env=environment, text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip


def report(clusters: Clusters, database: str, *arguments: str) -> dict[str, Any]:
    done = run(clusters, database, *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def sunk(clusters: Clusters, database: str, redis_url: str, log: Path) -> None:
    """Everything on the topics is in Postgres."""
    feed = clusters.feed
    topics = [*feed.topology.lanes(Tier.CRITICAL), feed.topology.lifecycle(Tier.CRITICAL)]
    with running(SinkProcess(feed, database, redis_url, log)):
        await_true(lambda: offsets(database) == feed.ends(topics), "everything in Postgres")


def send_jobs(feed: Feed) -> None:
    """One that waits, one that runs, one delayed, one completed, one dead."""
    due = Transition(3, "failed", "delayed", 1, AT + 60, due=LATER)
    records: list[Job | Lifecycle] = [job(name, at=AT) for name in ("waits", "runs", "later", "done", "dead")]
    records += [
        lifecycle(job("runs", at=AT), started(at=AT + 5)),
        lifecycle(job("later", at=AT), started(at=AT + 5), failed(2, 1, AT + 50), due),
        lifecycle(job("done", at=AT), started(at=AT + 5), completed(at=AT + 9)),
        lifecycle(job("dead", at=AT), started(at=AT + 5), Transition(2, "active", "dead", 1, AT + 9)),
    ]
    for record in records:
        feed.send(record, record.job_id)
    feed.flush()


def committed(feed: Feed, topic: str) -> list[Any]:
    """The committed records of a topic."""
    with Reader(feed.kafka) as reader:
        return [message for batch in reader.read(reader.spans(topic)) for message in batch]


def requests(feed: Feed) -> dict[str, JobRequest]:
    """What was handed in: AssertionError when a job was twice."""
    read = committed(feed, feed.topology.job_requests)
    every = [CODEC.decode(JobRequest, message.value()) for message in read]
    found = [request for request in every if not is_command(request)]
    assert len({request.job_id for request in found}) == len(found)
    return {request.job_id: request for request in found}


def test_jobs_that_had_not_ended_are_handed_in_again_once_and_end_in_postgres(
    clusters: Clusters, database: str, redis_url: str, tmp_path: Path
) -> None:
    send_jobs(clusters.feed)
    sunk(clusters, database, redis_url, tmp_path / "one")
    clusters.lose()

    # Somebody cancels a job that this Kafka has never heard of: that does not make it known.
    cancel = JobRequest("waits", "control", "cancel", "{}", AT, ordering_key="key of waits")
    clusters.feed.send_raw(clusters.feed.topology.job_requests, CODEC.encode(cancel))
    clusters.feed.flush()
    dry = report(clusters, database)
    assert (dry["lost"], dry["submitted"], dry["executed"]) == (3, 0, False)
    assert report(clusters, database, "--execute")["submitted"] == 3
    again = report(clusters, database, "--execute")
    assert (again["already_there"], again["submitted"], again["keys_remembered"]) == (3, 0, 0)

    asked = requests(clusters.feed)
    assert set(asked) == {"waits", "runs", "later"}
    assert {request.series for request in asked.values()} == {1}
    assert asked["later"].options.run_at == LATER
    assert asked["runs"].options.run_at is None
    assert asked["waits"].options.idempotency_key == "pay waits"
    assert asked["waits"].ordering_key == "key of waits"
    assert asked["waits"].data == job().data

    # What the router and a worker make of it ends the job's row, under the series that is new.
    for name in asked:
        handed = job(name, at=AT, series=1)
        clusters.feed.send(handed, name)
        clusters.feed.send(lifecycle(handed, started(at=AT + 90), completed(at=AT + 99)), name)
    clusters.feed.flush()
    sunk(clusters, database, redis_url, tmp_path / "two")
    assert scalar(database, "select count(*) from jobs where state = 'completed'") == 4
    assert scalar(database, "select count(*) from jobs") == 5


def test_offsets_of_the_lost_cluster_do_not_hide_the_records_of_the_new_one(
    clusters: Clusters, database: str, redis_url: str, tmp_path: Path
) -> None:
    """The new log is longer than the old one was when the sink comes: nothing but the topic's id shows it."""
    send_jobs(clusters.feed)
    sunk(clusters, database, redis_url, tmp_path / "one")
    clusters.lose()
    for number in range(50):
        clusters.feed.send(job(f"new-{number}", at=AT), "waits")
    clusters.feed.flush()
    sunk(clusters, database, redis_url, tmp_path / "two")
    assert scalar(database, "select count(*) from jobs where job_id like 'new-%'") == 50
    assert scalar(database, "select count(*) from sink_offsets_past") >= 1


def test_keys_that_had_their_effect_are_remembered_where_the_workers_look(
    clusters: Clusters, database: str, redis_url: str, tmp_path: Path
) -> None:
    send_jobs(clusters.feed)
    sunk(clusters, database, redis_url, tmp_path / "one")
    clusters.lose()
    assert report(clusters, database, "--execute")["keys_remembered"] == 1
    (record,) = committed(clusters.feed, clusters.feed.topology.idempotency(Tier.CRITICAL))
    entry = CODEC.decode(IdempotencyEntry, record.value())
    assert record.key() == digest("venue-1", "pay done")
    assert record.partition() == partition_of(b"key of done", 2)
    assert (entry.job_id, entry.state, entry.result) == ("done", "completed", '{"success": true}')
    assert entry.data_hash == digest("done")


def test_with_the_kafka_that_the_rows_came_from_nothing_is_handed_in(
    clusters: Clusters, database: str, redis_url: str, tmp_path: Path
) -> None:
    send_jobs(clusters.feed)
    sunk(clusters, database, redis_url, tmp_path / "one")
    refused = run(clusters, database, "--execute")
    assert refused.returncode == 1
    assert "nothing is lost" in refused.stderr
    # Also when told to: every job has its record.
    assert report(clusters, database, "--execute", "--same-cluster")["submitted"] == 0


def test_only_one_process_recovers(clusters: Clusters, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", (0x7469657266_03,))
        refused = run(clusters, database, "--execute")
    assert refused.returncode == 1
    assert "another process" in refused.stderr


def test_a_job_whose_data_postgres_never_saw_is_told(
    clusters: Clusters, database: str, redis_url: str, tmp_path: Path
) -> None:
    clusters.feed.send(lifecycle(job("half", at=AT), started(at=AT)), "half")
    clusters.feed.flush()
    sunk(clusters, database, redis_url, tmp_path / "one")
    clusters.lose()
    done = run(clusters, database, "--execute")
    assert done.returncode == 1
    assert json.loads(done.stdout)["without_data"] == ["half"]
