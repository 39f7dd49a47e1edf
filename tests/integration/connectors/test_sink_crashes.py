"""The sink under kills, stops, rebalances and a Postgres that goes away: every row exactly once."""

import json
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.postgres.migrate import migrate
from schemas.tiers import Tier
from tests.integration.connectors.sinking import (
    CODEC,
    Feed,
    SinkProcess,
    await_count,
    await_true,
    offsets,
    running,
    scalar,
)
from tests.stack import ROOT
from tests.unit.connectors.postgres.builders import completed, job, lifecycle, started

SEED = 20_251_122
# Now: a sink that starts drops months that are past their time.
AT = int(time.time() * 1000)

# Each move of an offset leaves its trace: what was written twice or never shows as an overlap or a gap.
WITNESS = """
create table moves (topic text, partition int, expected bigint, next bigint);
create function witness() returns trigger language plpgsql as $$
begin
    insert into moves values (new.topic, new.partition, old.next, new.next);
    return new;
end $$;
create trigger witness after update on sink_offsets for each row execute function witness();
"""
BROKEN_CHAINS = """
select count(*) from (
    select expected, lag(next, 1, 0::bigint) over (partition by topic, partition order by next) as before
    from moves
) chain where expected <> before
"""
JOBS = "select count(*) from jobs"
TRANSITIONS = "select count(*) from job_transitions"
LEDGER = "select count(*) from ledger"
PLACES = "select count(*) from (select distinct topic, partition, at from ledger) places"
WRONG_JOBS = """
select count(*) from jobs where state <> 'completed' or data is null or finished_at is null or attempts <> 1
    or (select count(*) from job_transitions t where t.job_id = jobs.job_id) <> 3
"""


@pytest.fixture
def database(database_url: str) -> str:
    migrate(database_url, 0)
    migrate(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("drop table if exists moves, ledger; drop function if exists witness cascade")
        connection.execute(WITNESS)
        connection.execute("create table ledger (topic text, partition int, at bigint)")
    return database_url


@pytest.fixture
def feed(kafka_bootstrap: str) -> Iterator[Feed]:
    # Each of two sinks has two writers: with fewer partitions one sink might get none.
    made = Feed.create(kafka_bootstrap, f"sink-{secrets.token_hex(4)}.", partitions=4)
    yield made
    made.delete()


@pytest.fixture
def sink(feed: Feed, database: str, redis_url: str, tmp_path: Path) -> Callable[[int], SinkProcess]:
    return lambda number: SinkProcess(
        feed, database, redis_url, tmp_path / f"sink-{number}.log", f"sink-{number}"
    )


class Load(threading.Thread):
    """Jobs and their transitions, written at a steady pace in the background."""

    def __init__(self, feed: Feed, jobs: int, per_s: int) -> None:
        super().__init__(daemon=True)
        self._feed, self._jobs, self._per_s = feed, jobs, per_s

    def run(self) -> None:
        for number in range(self._jobs):
            one = job(f"job-{number}", at=AT, priority=10 if number % 3 else 2)
            for record in (one, lifecycle(one, started(), completed())):
                self._feed.send(record, key=f"key-{number % 40}")
            if number % 50 == 0:
                time.sleep(50 / self._per_s)
        self._feed.flush()


@pytest.fixture
def load(feed: Feed) -> Iterator[Callable[[int, int], Load]]:
    started_loads: list[Load] = []

    def start(jobs: int, per_s: int) -> Load:
        made = Load(feed, jobs, per_s)
        made.start()
        started_loads.append(made)
        return made

    yield start
    for one in started_loads:
        one.join(120)


def assert_complete(feed: Feed, database: str, jobs: int) -> None:
    """Every record is written, each once, and every job is as its records say."""
    topics = [*feed.topology.lanes(Tier.CRITICAL), feed.topology.lifecycle(Tier.CRITICAL)]
    ends = feed.ends(topics)
    await_true(lambda: offsets(database) == ends, f"sink_offsets at {ends}")
    assert scalar(database, JOBS) == jobs
    assert scalar(database, TRANSITIONS) == 3 * jobs
    assert scalar(database, WRONG_JOBS) == 0
    assert scalar(database, BROKEN_CHAINS) == 0


def test_rows_survive_kills_and_stops_of_the_sink(
    feed: Feed, database: str, sink: Callable[[int], SinkProcess], load: Callable[[int, int], Load]
) -> None:
    chance = random.Random(SEED)
    jobs = 4_000
    process, before = sink(0), 0
    with running(process):
        loading = load(jobs, 400)
        for _ in range(4):
            grown = scalar(database, TRANSITIONS) + chance.randint(1, 900)
            await_count(database, TRANSITIONS, min(grown, 3 * jobs))
            process.kill()
            before = shares(process)
            process.start()
        loading.join()
        assert_complete(feed, database, jobs)
        await_true(lambda: shares(process) > before, "the last start has its partitions")
        assert process.stop() == 0


def test_a_sink_that_was_stopped_and_wakes_up_writes_nothing_twice(
    feed: Feed, database: str, sink: Callable[[int], SinkProcess], load: Callable[[int, int], Load]
) -> None:
    jobs = 8_000
    sleeper, other = sink(0), sink(1)
    with running(sleeper, other):
        await_true(lambda: has_share(sleeper) and has_share(other), "each has partitions")
        loading = load(jobs, 600)
        await_count(database, JOBS, 100)
        before = shares(other)
        sleeper.signal(signal.SIGSTOP)
        await_true(lambda: shares(other) > before, "the other takes its partitions over")
        await_count(database, JOBS, scalar(database, JOBS) + 100)
        sleeper.signal(signal.SIGCONT)
        loading.join()
        assert_complete(feed, database, jobs)


def test_a_second_sink_takes_its_share_and_gives_it_back(
    feed: Feed, database: str, sink: Callable[[int], SinkProcess], load: Callable[[int, int], Load]
) -> None:
    jobs = 3_000
    first, second = sink(0), sink(1)
    with running(first, second):
        await_true(lambda: has_share(first) and has_share(second), "each has partitions")
        loading = load(jobs, 500)
        await_count(database, JOBS, 500)
        assert second.stop() == 0
        await_count(database, JOBS, 1_200)
        second.start()
        loading.join()
        assert_complete(feed, database, jobs)


def test_nothing_is_lost_while_postgres_is_away(
    feed: Feed, database: str, sink: Callable[[int], SinkProcess], load: Callable[[int, int], Load]
) -> None:
    jobs = 3_000
    process = sink(0)
    name = database.rpartition("/")[2]
    server = f"{database.rpartition('/')[0]}/postgres"
    with running(process):
        loading = load(jobs, 400)
        await_count(database, JOBS, 100)
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f'alter database "{name}" allow_connections false'.encode())
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
            )
            gone = time.monotonic()
            await_true(lambda: time.monotonic() - gone > 6 and not loading.is_alive(), "the whole load")
            admin.execute(f'alter database "{name}" allow_connections true'.encode())
        assert_complete(feed, database, jobs)
        log = process.log.read_text()
        # Each of the two writers says it once.
        assert log.count("target is away") == 2
        assert log.count("target is back") == 2


def test_poison_records_are_dead_letters_once_and_stop_nothing(
    feed: Feed, database: str, sink: Callable[[int], SinkProcess]
) -> None:
    poisoned = feed.topology.lanes(Tier.CRITICAL)[0]
    process = sink(0)
    with running(process):
        feed.send_raw(poisoned, b"no avro at all")
        feed.send(job("good", at=AT))
        feed.send_raw(feed.topology.ingress_dead_letters, b"no letter either")
        feed.flush()
        await_true(lambda: scalar(database, "select count(*) from dead_letter_jobs") == 2, "two letters")
        await_true(lambda: scalar(database, JOBS) == 1, "the good job")
        process.kill()
        process.start()
        feed.send(job("later", at=AT))
        feed.flush()
        await_true(lambda: scalar(database, JOBS) == 2, "the later job")
    assert len(feed.read(feed.topology.ingress_dead_letters)) == 2
    letters = set(fetched(database, "select source_topic, error_class, value from dead_letter_jobs"))
    assert letters == {
        (poisoned, "undecodable", b"no avro at all"),
        (feed.topology.ingress_dead_letters, "undecodable", b"no letter either"),
    }


@pytest.mark.parametrize("kind", ["exact", "naive"])
def test_only_the_compare_and_set_writes_once_under_the_same_kills(
    feed: Feed, database: str, kind: str, tmp_path: Path
) -> None:
    """The naive consumer shows that the faults are real: they make it write twice."""
    topic = feed.topology.lanes(Tier.CRITICAL)[0]
    chance = random.Random(SEED)
    # So many that each kill comes in the middle, also on a machine that has nothing else to do.
    records = 40_000
    raw = CODEC.encode(job(at=AT))
    for number in range(records):
        feed.send_raw(topic, raw, f"key-{number}")
    feed.flush()
    for _ in range(2):
        child = start_ledger(kind, feed, topic, database, tmp_path)
        await_count(database, LEDGER, min(records, scalar(database, LEDGER) + chance.randint(300, 1_200)))
        child.kill()
        child.wait()
    child = start_ledger(kind, feed, topic, database, tmp_path)
    await_count(database, PLACES, records)
    child.kill()
    child.wait()
    doubled = scalar(database, LEDGER) - scalar(database, PLACES)
    assert scalar(database, PLACES) == records
    assert (doubled == 0) if kind == "exact" else (doubled > 0)


def start_ledger(kind: str, feed: Feed, topic: str, database: str, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "ledger.log").open("ab") as log:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.integration.connectors.ledger_process",
                kind,
                feed.kafka.bootstrap_servers,
                topic,
                database,
            ],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )


def fetched(database: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(query.encode()).fetchall()


def has_share(process: SinkProcess) -> bool:
    """Whether the sink of this process was given partitions."""
    return shares(process) > 0


def shares(process: SinkProcess) -> int:
    """How often the sink of this process was given partitions."""
    lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
    given = [line for line in lines if line["event"] == "partitions assigned" and line["partitions"]]
    return sum(line["target"] == "postgres" for line in given)
