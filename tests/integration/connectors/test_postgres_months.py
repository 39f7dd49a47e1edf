"""Tables by month on a real Postgres: where rows stand, what is dropped when, the migration when filled."""

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from connectors.consuming.metrics import ConsumingMetrics
from connectors.postgres.migrate import migrate
from connectors.postgres.retention import RetentionMetrics, retain
from connectors.postgres.rows import Rows
from connectors.postgres.sink import PostgresSink, stage
from connectors.postgres.statements import CREATE_STAGING, FIND_HOMES, WRITE_JOBS
from connectors.views import fold_records
from schemas.records import Job, Lifecycle
from tests.integration.connectors.sinking import CODEC, await_count, scalar
from tests.integration.connectors.test_postgres_sink import TYPES, Posted, messages, read_job
from tests.unit.connectors.postgres.builders import (
    completed,
    dead_letter,
    history,
    job,
    lifecycle,
    shuffled,
    started,
)

DAY_MS = 24 * 3_600_000
JULY, AUGUST = 1_783_000_000_000, 1_786_000_000_000  # 2026-07-02 and 2026-08-06
TABLES = "jobs, job_transitions, dead_letter_jobs, job_homes, dead_letter_ids, sink_offsets"


@pytest.fixture(scope="module")
def database(database_url: str) -> str:
    migrate(database_url)
    return database_url


@pytest.fixture
def sink(database: str) -> Iterator[PostgresSink]:
    with psycopg.connect(database) as connection:
        connection.execute(f"truncate {TABLES}".encode())
    made = made_sink(database)
    yield made
    made.close()


def made_sink(database: str) -> PostgresSink:
    return PostgresSink(database, TYPES, CODEC, Posted(), ConsumingMetrics(CollectorRegistry()))


def standing(database: str, table: str = "jobs") -> dict[str, str]:
    """Each id -> the partition of its row; AssertionError when one has two."""
    name = "letter_id" if table == "dead_letter_jobs" else "job_id"
    with psycopg.connect(database) as connection:
        rows = connection.execute(f"select {name}, tableoid::regclass::text from {table}".encode()).fetchall()
    assert table == "job_transitions" or len(rows) == len(dict(rows))
    return dict(rows)


def test_a_job_and_its_transitions_stand_in_the_month_of_its_acceptance_by_family(
    sink: PostgresSink, database: str
) -> None:
    sink.write(messages([job("a", at=JULY), job("b", at=AUGUST), job("n", at=JULY, type="nft-mint")]), [])
    sink.write(messages([lifecycle(job("a", at=JULY), started(at=AUGUST), completed(at=AUGUST))]), [])
    assert standing(database) == {
        "a": "jobs_90d_2026_07", "b": "jobs_90d_2026_08", "n": "jobs_365d_2026_07",
    }  # fmt: skip
    assert standing(database, "job_transitions")["a"] == "job_transitions_90d_2026_07"


@pytest.mark.parametrize("seed", range(8))
def test_records_of_one_job_with_several_times_are_one_row_under_the_earliest(
    sink: PostgresSink, database: str, seed: int
) -> None:
    """A re-drive, or a client's repeat of its id, brings a time of its own; here even another type."""
    chance = random.Random(seed)
    every: list[Job | Lifecycle] = []
    for name in ("a", "b"):
        every += history(job(name, at=AUGUST), chance) + history(job(name, series=1, at=JULY), chance)
    every.append(job("b", series=2, at=AUGUST + DAY_MS, type="nft-mint"))
    left = shuffled(every, chance)
    while left:
        size = chance.randint(1, len(left))
        sink.write(messages(left[:size]), [])
        left = left[size:]
    assert standing(database) == {"a": "jobs_90d_2026_07", "b": "jobs_365d_2026_07"}
    for name in ("a", "b"):
        view = read_job(database, name)
        records = [record for record in every if record.job_id == name]
        expected = fold_records(records)
        assert view is not None
        assert (view.state, view.timeline, view.series) == (
            expected.state,
            expected.timeline,
            expected.series,
        )
        assert view.accepted_at == JULY


def test_a_job_that_moves_while_another_writer_has_looked_for_it_keeps_one_row(
    sink: PostgresSink, database: str
) -> None:
    sink.write(messages([job("a", at=AUGUST)]), [])
    mover = made_sink(database)
    earlier = threading.Thread(target=mover.write, args=(messages([job("a", series=1, at=JULY)]), []))
    with psycopg.connect(database) as slow:
        slow.execute(cast(Any, CREATE_STAGING))
        stage(slow, Rows.of([lifecycle(job("a", at=AUGUST), started(at=AUGUST), completed(at=AUGUST))]))
        slow.execute(cast(Any, FIND_HOMES))
        earlier.start()
        await_count(database, "select count(*) from pg_locks where not granted", 1)
        slow.execute(cast(Any, WRITE_JOBS))
    earlier.join(60)
    mover.close()
    assert standing(database) == {"a": "jobs_90d_2026_07"}
    assert set(standing(database, "job_transitions").values()) == {"job_transitions_90d_2026_07"}
    assert scalar(database, "select count(*) from job_transitions") == 4


def test_two_writers_that_meet_in_a_new_month_make_it_once(sink: PostgresSink, database: str) -> None:
    sink.write([], [])
    at = int(datetime(2025, 3, 5, tzinfo=UTC).timestamp() * 1000)
    sinks = [made_sink(database) for _ in range(4)]
    failed: list[BaseException] = []

    def write(number: int) -> None:
        try:
            sinks[number].write(messages([job(f"j{number}-{i}", at=at) for i in range(50)]), [])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for one in sinks:
        one.close()
    assert failed == []
    assert set(standing(database).values()) == {"jobs_90d_2025_03"}
    assert len(standing(database)) == 200


def test_a_time_far_off_has_its_row_too_and_moves_into_its_month_when_that_is_made(
    sink: PostgresSink, database: str
) -> None:
    late = int((datetime.now(UTC) + timedelta(days=900)).timestamp() * 1000)
    sink.write(messages([job("old", at=0), job("late", at=late)]), [])
    assert standing(database) == {"old": "jobs_90d_other", "late": "jobs_90d_other"}
    with psycopg.connect(database) as connection:
        month = datetime.fromtimestamp(late / 1000, UTC).date().replace(day=1)
        connection.execute("select make_month('jobs_90d', %s)", (month,))
    assert standing(database)["late"] == f"jobs_90d_{month:%Y_%m}"
    sink.write(messages([lifecycle(job("late", at=late), started(), completed())]), [])
    assert scalar(database, "select state from jobs where job_id = 'late'") == "completed"


def test_a_letter_read_again_is_one_row_also_with_another_time(sink: PostgresSink, database: str) -> None:
    sink.write(messages([dead_letter(last_failed_at=JULY), dead_letter(last_failed_at=AUGUST)]), [])
    sink.write(messages([dead_letter(last_failed_at=AUGUST)]), [])
    assert standing(database, "dead_letter_jobs") == {"letter-1": "dead_letter_jobs_2026_07"}


def test_retention_drops_months_that_are_over_with_their_ids_and_keeps_the_rest(
    sink: PostgresSink, database: str
) -> None:
    sink.write(
        messages(
            [
                job("old", at=JULY), job("young", at=AUGUST), job("nft", at=JULY, type="nft-mint"),
                job("odd", at=0), dead_letter("l-old", last_failed_at=JULY),
                dead_letter("l-young", last_failed_at=AUGUST),
            ]
        ),
        [],
    )  # fmt: skip
    now = datetime(2026, 11, 20, tzinfo=UTC)
    said = retain(database, now, execute=False)
    assert len(standing(database)) == 4
    kept = retain(database, now)
    assert set(kept.dropped) == set(said.dropped) >= {
        "jobs_90d_2026_07", "job_transitions_90d_2026_07", "dead_letter_jobs_2026_07",
    }  # fmt: skip
    assert kept.deleted == 2  # the odd job and its transition
    assert set(standing(database)) == {"young", "nft"}
    assert set(standing(database, "dead_letter_jobs")) == {"l-young"}
    with psycopg.connect(database) as connection:
        homes = connection.execute("select job_id from job_homes order by 1").fetchall()
        letters = connection.execute("select letter_id from dead_letter_ids").fetchall()
    assert (homes, letters) == ([("nft",), ("young",)], [("l-young",)])
    assert retain(database, now).dropped == []


def test_the_coming_months_are_made_before_they_are_needed(database: str) -> None:
    retain(database, datetime(2026, 11, 20, tzinfo=UTC))
    for month in ("2026_11", "2026_12", "2027_01"):
        assert scalar(database, f"select to_regclass('job_transitions_365d_{month}') is not null")


def test_a_month_in_use_is_dropped_later_and_said(sink: PostgresSink, database: str) -> None:
    sink.write(messages([job("old", at=JULY)]), [])
    now, metrics = datetime(2026, 11, 20, tzinfo=UTC), RetentionMetrics(CollectorRegistry())
    with psycopg.connect(database) as reader:
        reader.execute("select count(*) from jobs_90d_2026_07")
        kept = retain(database, now)
    metrics.note(kept, now)
    assert kept.late == ["jobs_90d_2026_07"]
    assert metrics.worked_at._value.get() == 0
    assert "jobs_90d_2026_07" in retain(database, now).dropped


def test_of_two_retentions_at_once_one_works(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", (0x7469657266_02,))
        assert retain(database).busy


def test_the_migration_takes_filled_tables_up_and_down_without_a_loss(database: str) -> None:
    shown: list[Any] = []
    migrate(database, 1)
    with psycopg.connect(database) as connection:
        connection.execute(
            """insert into jobs (job_id, queue, type, tier, accepted_at, rank, series, state, attempts,
                changed_at, data)
            select 'j' || n, 'money', case when n % 5 = 0 then 'nft-mint' else 'payment-process' end, 1,
                timestamptz '2026-07-01 00:00+00' + n * interval '3 hours', 1, 0, 'completed', 1,
                timestamptz '2026-07-01 00:00+00', '{"a": 1}' from generate_series(1, 800) n"""
        )
        connection.execute("update jobs set accepted_at = 'epoch' where job_id = 'j7'")
        connection.execute(
            """insert into job_transitions (job_id, series, number, from_state, to_state, attempt, at)
            select job_id, 0, n, 'waiting', 'active', 1, accepted_at from jobs, generate_series(0, 2) n"""
        )
        shown.append(texts(connection))
    migrate(database)
    with psycopg.connect(database) as connection:
        shown.append(texts(connection))
    assert standing(database)["j7"] == "jobs_90d_other"
    assert standing(database)["j5"] == "jobs_365d_2026_07"
    migrate(database, 1)
    with psycopg.connect(database) as connection:
        shown.append(texts(connection))
    migrate(database)
    assert shown[0] == shown[1] == shown[2]
    assert len(shown[0]) == 800 * 4


def texts(connection: psycopg.Connection[Any]) -> list[tuple[str]]:
    connection.execute("set time zone 'UTC'")
    jobs = "select job_id || type || accepted_at || state || data::text || attempts from jobs"
    changes = "select job_id || series || number || to_state || at from job_transitions"
    return connection.execute(f"{jobs} union all {changes} order by 1".encode()).fetchall()
