"""`tierflow rebuild`: from the topics alone the same rows and keys come about, and tampering shows."""

import json
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from connectors.postgres.migrate import migrate
from connectors.postgres.rebuilt import COMPARED, carry_over, compare, prepare, snapshot, swap
from connectors.redis.entries import entry
from connectors.redis.keys import prefix_of
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
from tests.unit.connectors.postgres.builders import completed, dead_letter, history, job, lifecycle, started

JOBS = 400
# A while ago, but within the time that every row is kept.
AT = int((time.time() - 86_400) * 1000)


@pytest.fixture(scope="module")
def feed(kafka_bootstrap: str) -> Iterator[Feed]:
    made = Feed.create(kafka_bootstrap, f"rebuild-{secrets.token_hex(3)}.", partitions=2)
    chance = random.Random(7)
    for number in range(JOBS):
        kind = "nft-mint" if number % 9 == 0 else "payment-process"
        for record in history(job(f"job-{number}", type=kind, at=AT), chance):
            made.send(record, f"job-{number}")
    for record in history(job("job-1", series=1, at=AT + 60_000), chance):
        made.send(record, "job-1")
    for number in range(30):
        made.send_raw(
            made.topology.dead_letters(Tier.IMPORTANT),
            CODEC.encode(dead_letter(f"letter-{number}", last_failed_at=AT)),
        )
    made.send_raw(made.topology.lifecycle(Tier.CRITICAL), b"no avro")
    made.flush()
    yield made
    made.delete()


@pytest.fixture(scope="module")
def written(
    feed: Feed, database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str]:
    """Postgres and Redis as the running sink filled them."""
    migrate(database_url)
    log = tmp_path_factory.mktemp("sink") / "log"
    topics = [*feed.topology.lanes(Tier.CRITICAL), feed.topology.lifecycle(Tier.CRITICAL)]
    topics += feed.topology.all_dead_letters
    prefix = prefix_of(feed.kafka.topic_prefix)
    with running(SinkProcess(feed, database_url, redis_url, log)), redis.Redis.from_url(redis_url) as client:
        # The undecodable record has become a letter, which is in the topics too.
        await_true(lambda: len(feed.ends([feed.topology.ingress_dead_letters])) == 1, "the letter")
        ends = feed.ends(topics)
        await_true(lambda: offsets(database_url) == ends, "everything in Postgres")
        await_true(
            lambda: all(
                client.hget(f"{prefix}offsets", f"{topic}|{number}") == str(end).encode()
                for (topic, number), end in ends.items()
                if ".dlq." not in topic
            ),
            "everything in Redis",
        )
    return database_url, redis_url


def run(feed: Feed, written: tuple[str, str], *arguments: str) -> tuple[int, dict[str, Any]]:
    environment = clean_environment(
        {
            "KAFKA_BOOTSTRAP_SERVERS": feed.kafka.bootstrap_servers,
            "TIERFLOW_TOPIC_PREFIX": feed.kafka.topic_prefix,
            "TIERFLOW_PARTITIONS": "2",
            "TIERFLOW_REPLICATION": "1",
            "DATABASE_URL": written[0],
            "REDIS_URL": written[1],
        }
    )
    command = [sys.executable, "-m", "ops.cli.main", "rebuild", *arguments, "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=300, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_from_the_topics_alone_every_row_of_every_table_comes_about(
    feed: Feed, written: tuple[str, str]
) -> None:
    status, report = run(feed, written, "postgres")
    assert status == 0, report
    found = report["differences"]
    assert set(found) == set(COMPARED)
    assert found["jobs"]["rows"] == JOBS
    assert found["job_transitions"]["rows"] > 2 * JOBS
    assert found["dead_letter_jobs"]["rows"] == 31
    assert found["sink_offsets"]["rows"] >= 4


def test_another_database_is_filled_and_compared_just_so(
    feed: Feed, written: tuple[str, str], tmp_path: Path
) -> None:
    server, _, name = written[0].rpartition("/")
    with psycopg.connect(written[0], autocommit=True) as connection:
        connection.execute(f'create database "{name}_b"'.encode())
    try:
        status, _ = run(feed, written, "postgres", "--into", f"{server}/{name}_b")
        assert status == 0
        with snapshot(written[0]) as one, snapshot(f"{server}/{name}_b") as two:
            assert {
                table: found.count for table, found in compare(one, two, datetime.now(UTC)).items()
            } == dict.fromkeys(COMPARED, 0)
    finally:
        with psycopg.connect(written[0], autocommit=True) as connection:
            connection.execute(f'drop database "{name}_b" with (force)'.encode())


def test_a_row_changed_deleted_or_added_is_named_and_a_swap_mends_it(
    feed: Feed, written: tuple[str, str]
) -> None:
    with psycopg.connect(written[0]) as connection:
        connection.execute("update jobs set data = '{\"amount\": 1}' where job_id = 'job-3'")
        connection.execute("delete from job_transitions where job_id = 'job-4' and number = 0")
        connection.execute(
            "insert into job_homes select 'forged', accepted_at, keep_days from job_homes limit 1"
        )
        connection.execute("delete from dead_letter_jobs where letter_id = 'letter-5'")
    status, report = run(feed, written, "postgres")
    found = report["differences"]
    assert status == 1
    assert found["jobs"]["differing"] == ["job-3"]
    assert found["job_transitions"]["extra"] == ["job-4/0/0"]
    assert found["job_homes"]["missing"] == ["forged"]
    assert found["dead_letter_jobs"]["extra"] == ["letter-5"]
    assert sum(table["count"] for table in found.values()) == 4
    assert run(feed, written, "postgres", "--swap")[0] == 0
    status, report = run(feed, written, "postgres")
    assert status == 0, report
    assert scalar(written[0], "select count(*) from critical_jobs") == JOBS
    assert scalar(written[0], "select count(*) from tierflow_replaced.job_homes") == JOBS + 1


def test_a_sink_that_runs_goes_on_writing_after_a_swap(
    feed: Feed, written: tuple[str, str], tmp_path: Path
) -> None:
    with running(SinkProcess(feed, *written, tmp_path / "log")):
        feed.send(job("before", at=AT), "before")
        feed.flush()
        await_true(
            lambda: scalar(written[0], "select count(*) from jobs where job_id = 'before'") == 1, "before"
        )
        assert run(feed, written, "postgres", "--swap")[0] == 0
        feed.send(lifecycle(job("before", at=AT), started(), completed()), "before")
        feed.flush()
        await_true(
            lambda: (
                scalar(
                    written[0],
                    "select count(*) from jobs where job_id = 'before' and state = 'completed'",
                )
                == 1
            ),
            "after",
        )


@pytest.fixture
def reader(written: tuple[str, str]) -> Iterator[str]:
    """A role of somebody who reads reports."""
    name = f"reader_{secrets.token_hex(4)}"
    with psycopg.connect(written[0], autocommit=True) as connection:
        connection.execute(f"create role {name}".encode())
        yield name
        connection.execute(f"drop owned by {name}".encode())
        connection.execute(f"drop role {name}".encode())


def test_who_may_read_may_read_after_a_swap(written: tuple[str, str], reader: str) -> None:
    with psycopg.connect(written[0], autocommit=True) as connection:
        connection.execute(f"grant select on jobs, critical_jobs to {reader}".encode())
        connection.execute(f"grant update (message), select on dead_letter_jobs to {reader}".encode())
        prepare(written[0])
        carry_over(written[0], datetime.now(UTC))
        swap(written[0])
        held = {
            (table, right): connection.execute(
                "select has_any_column_privilege(%s, %s, %s)", (reader, table, right)
            ).fetchone()
            for table in ("jobs", "critical_jobs", "dead_letter_jobs", "job_transitions")
            for right in ("select", "update")
        }
        assert [key for key, row in held.items() if row == (True,)] == [
            ("jobs", "select"),
            ("critical_jobs", "select"),
            ("dead_letter_jobs", "select"),
            ("dead_letter_jobs", "update"),
        ]
        column = "select has_column_privilege(%s, 'dead_letter_jobs', %s, 'update')"
        assert connection.execute(column, (reader, "message")).fetchone() == (True,)
        assert connection.execute(column, (reader, "value")).fetchone() == (False,)


def test_what_people_ordered_is_left_as_it_is_by_a_swap(written: tuple[str, str]) -> None:
    with psycopg.connect(written[0], autocommit=True) as connection:
        connection.execute(
            "insert into redrive_runs (run_id, ordered_by, asked, edit, stages, tolerated, patience_s, state)"
            " values ('run-1', 'me', '{}', '{}', '{1}', 0.1, 60, 'done')"
        )
        connection.execute(
            "insert into dead_letter_redrives (letter_id, run_id, place, state)"
            " values ('letter-9', 'run-1', 1, 'sent')"
        )
        prepare(written[0])
        carry_over(written[0], datetime.now(UTC))
        swap(written[0])
        rows = connection.execute(
            "select r.run_id, letter_id from redrive_runs r join dead_letter_redrives using (run_id)"
        ).fetchall()
    assert rows == [("run-1", "letter-9")]


def test_what_is_older_than_the_topics_is_carried_over_in_a_swap(
    feed: Feed, written: tuple[str, str]
) -> None:
    count = scalar(written[0], "select count(*) from jobs")
    letters = scalar(written[0], "select count(*) from dead_letter_jobs")
    prepare(written[0])
    carried = carry_over(written[0], datetime.now(UTC))
    assert carried["jobs"] == carried["job_homes"] == count
    swap(written[0])
    assert scalar(written[0], "select count(*) from jobs") == count
    assert scalar(written[0], "select count(*) from dead_letter_jobs") == letters
    assert offsets(written[0]) == {}


def test_the_status_of_all_jobs_comes_about_in_redis_and_a_swap_puts_it_in_place(
    feed: Feed, written: tuple[str, str], tmp_path: Path
) -> None:
    prefix = prefix_of(feed.kafka.topic_prefix)
    status, report = run(feed, written, "redis")
    assert status == 0, report
    assert report["differences"]["keys"]["keys"] > 10
    with redis.Redis.from_url(written[1]) as client:
        client.append(f"{prefix}job:job-2", entry(b"L", 0, 90, 90, 1, 1, "active", b"forged"))
        client.hincrby(f"{prefix}count:money", "completed", 5)
        status, report = run(feed, written, "redis")
        assert status == 1
        assert set(report["differences"]["keys"]["differing"]) == {"job:job-2", "count:money"}
        status, report = run(feed, written, "redis", "--swap")
        assert status == 0
        client.execute_command("SELECT", report["database"])
        client.flushdb()
    assert run(feed, written, "redis")[0] == 0
