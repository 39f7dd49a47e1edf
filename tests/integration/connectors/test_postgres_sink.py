"""The target of the sink on a real Postgres, without Kafka."""

import asyncio
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import psycopg
import pytest
from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from connectors.consuming.incarnations import Incarnations
from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.positions import Move
from connectors.consuming.target import PositionMovedError, TargetAwayError
from connectors.postgres.connection import connect, patience
from connectors.postgres.dead_letters import DeadLetterStore
from connectors.postgres.migrate import migrate
from connectors.postgres.queries import JobQueries
from connectors.postgres.rows import Rows
from connectors.postgres.sink import PostgresSink
from connectors.postgres.statements import CREATE_STAGING, FIND_MOVED, WRITE_JOBS
from connectors.views import JobView, fold_records
from schemas.errors import UnavailableError
from schemas.records import DeadLetter, Job, Lifecycle, Transition
from tests.integration.connectors.sinking import CODEC, scalar
from tests.unit.connectors.postgres.builders import (
    NOW,
    completed,
    dead_letter,
    history,
    job,
    lifecycle,
    message,
    shuffled,
    started,
)

JOBS, LIFE, LETTERS = "t.tier-1.urgent", "t.lifecycle.tier-1", "t.dlq.tier-1"
TYPES: dict[str, type[Job | Lifecycle | DeadLetter]] = {JOBS: Job, LIFE: Lifecycle, LETTERS: DeadLetter}


class Posted:
    """A letterbox that keeps what it is given."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def post(self, letter: DeadLetter) -> None:
        self.letters.append(letter)


@pytest.fixture(scope="module")
def database(database_url: str) -> str:
    migrate(database_url)
    return database_url


@pytest.fixture
def empty(database: str) -> str:
    with psycopg.connect(database) as connection:
        connection.execute(
            "truncate jobs, job_transitions, dead_letter_jobs, job_homes, dead_letter_ids, sink_offsets,"
            " sink_offsets_past"
        )
    return database


@pytest.fixture
def letterbox() -> Posted:
    return Posted()


@pytest.fixture
def sink(empty: str, letterbox: Posted) -> Iterator[PostgresSink]:
    made = PostgresSink(empty, TYPES, CODEC, letterbox, ConsumingMetrics(CollectorRegistry()))
    yield made
    made.close()


def messages(records: list[Job | Lifecycle | DeadLetter]) -> list[Message]:
    topics = {Job: JOBS, Lifecycle: LIFE, DeadLetter: LETTERS}
    return [message(topics[type(record)], at, CODEC.encode(record)) for at, record in enumerate(records)]


def read_job(database: str, job_id: str) -> JobView | None:
    async def ask() -> JobView | None:
        queries = JobQueries(database)
        await queries.open()
        try:
            return await queries.job(job_id)
        finally:
            await queries.close()

    return asyncio.run(ask())


def test_migrations_go_up_down_and_up_again(database: str) -> None:
    assert migrate(database) == []
    down = migrate(database, 0)
    assert down[-1] == "0001_jobs down"
    assert migrate(database) == [step.replace(" down", " up") for step in reversed(down)]


def test_a_batch_looks_its_jobs_up_by_the_index(empty: str, sink: PostgresSink) -> None:
    """The planner would read a table of up to a million jobs from beginning to end, three times a batch."""
    sink.write(messages([job()]), [])
    with psycopg.connect(empty) as connection:
        connection.execute(
            "insert into job_homes select 'other-' || n, now(), 90 from generate_series(1, 20000) n"
        )
        connection.execute("analyze job_homes")
        connection.execute(cast(Any, CREATE_STAGING))
        connection.execute(
            "insert into staged_jobs (job_id, accepted_at, keep_days)"
            " select 'other-' || n, 0, 90 from generate_series(1, 4000) n"
        )
        connection.execute(
            "insert into staged_transitions (job_id, series, number) select job_id, 0, 0 from staged_jobs"
        )
        for statement in (FIND_MOVED, WRITE_JOBS):
            plan = [line for (line,) in connection.execute(cast(Any, f"explain {statement}")).fetchall()]
            assert any("job_homes_pkey" in line for line in plan)
            assert not any("Seq Scan on job_homes" in line for line in plan)


def test_two_migrators_at_once_apply_each_step_once(database: str) -> None:
    every = len(migrate(database, 0))
    done: list[list[str]] = []
    threads = [threading.Thread(target=lambda: done.append(migrate(database))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(map(len, done)) == [0, 0, every]


def test_a_database_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="Postgres does not answer"):
        migrate("postgresql://nobody@127.0.0.1:1/none")


@pytest.mark.parametrize("seed", range(12))
def test_any_order_repeats_and_batches_give_the_view_of_the_records(
    sink: PostgresSink, empty: str, seed: int
) -> None:
    chance = random.Random(seed)
    histories = {name: history(job(name), chance) for name in ("a", "b", "c")}
    histories["a"] += history(job("a", series=1, at=NOW + 9_000), chance)
    every = shuffled([record for records in histories.values() for record in records], chance)
    while every:
        size = chance.randint(1, len(every))
        sink.write(messages(every[:size]), [])
        every = every[size:]
    for name, records in histories.items():
        expected = fold_records(records)
        assert read_job(empty, name) == expected
        row = scalar(
            empty,
            "select json_build_array(state, series, attempts, round(extract(epoch from finished_at) * 1000),"
            f" round(extract(epoch from processed_at) * 1000), error->>'error_class')::text"
            f" from jobs where job_id = '{name}'",
        )
        assert row.replace("null", "None") == str(
            [
                expected.state,
                expected.series,
                expected.attempts,
                expected.finished_at,
                expected.processed_at,
                expected.error.error_class if expected.error else None,
            ]
        ).replace("'", '"')


def test_rows_and_offsets_move_together(sink: PostgresSink) -> None:
    place = (JOBS, 0)
    assert sink.positions([place]) == {place: 0}
    assert sink.write(messages([job(), lifecycle(job(), started(), completed())]), [Move(JOBS, 0, 0, 2)]) == 3
    assert sink.positions([place]) == {place: 2}


def test_offsets_of_a_lost_cluster_are_put_aside_and_the_new_topic_is_read_from_its_start(empty: str) -> None:
    now = {JOBS: "first"}
    hours = iter(range(0, 1_000_000, 3_600))
    sink = PostgresSink(
        empty, TYPES, CODEC, Posted(), ConsumingMetrics(CollectorRegistry()),
        incarnations=Incarnations(lambda _: now, lambda: next(hours)),
    )  # fmt: skip
    place = (JOBS, 0)
    sink.positions([place])
    sink.write(messages([job("a")]), [Move(JOBS, 0, 0, 10_000)])
    assert sink.positions([place]) == {place: 10_000}
    now[JOBS] = "second"
    assert sink.positions([place]) == {place: 0}
    with pytest.raises(PositionMovedError):  # a writer that still reads the old one
        sink.write(messages([job("b")]), [Move(JOBS, 0, 10_000, 10_001)])
    sink.write(messages([job("b")]), [Move(JOBS, 0, 0, 1)])
    assert sink.positions([place]) == {place: 1}
    sink.close()
    assert scalar(empty, "select count(*) from jobs") == 2
    assert scalar(empty, "select topic || next || topic_id from sink_offsets_past") == f"{JOBS}10000first"


def test_offsets_from_before_ids_were_kept_are_those_of_the_topic_that_is_there(
    sink: PostgresSink, empty: str
) -> None:
    sink.positions([(JOBS, 0)])
    sink.write(messages([job("a")]), [Move(JOBS, 0, 0, 7)])
    knowing = PostgresSink(
        empty, TYPES, CODEC, Posted(), ConsumingMetrics(CollectorRegistry()),
        incarnations=Incarnations(lambda _: {JOBS: "first"}),
    )  # fmt: skip
    assert knowing.positions([(JOBS, 0)]) == {(JOBS, 0): 7}
    knowing.close()
    assert scalar(empty, "select topic_id from sink_offsets") == "first"


def test_a_batch_from_another_position_is_refused_whole(sink: PostgresSink, empty: str) -> None:
    sink.positions([(JOBS, 0), (LIFE, 0)])
    sink.write(messages([job("a")]), [Move(JOBS, 0, 0, 1)])
    with pytest.raises(PositionMovedError, match="1 of 2 partitions"):
        sink.write(messages([job("b")]), [Move(JOBS, 0, 0, 1), Move(LIFE, 0, 0, 1)])
    assert scalar(empty, "select count(*) from jobs") == 1
    assert sink.positions([(LIFE, 0)]) == {(LIFE, 0): 0}


def test_a_writer_that_stands_still_while_it_sends_rows_stops_nobody(
    sink: PostgresSink, empty: str, letterbox: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.positions([(JOBS, 0)])
    stands, goes_on = threading.Event(), threading.Event()
    given = Rows.jobs

    def jobs(rows: Rows) -> Any:
        for row in given(rows):
            if threading.current_thread() is not threading.main_thread():
                stands.set()
                goes_on.wait(120)
            yield row

    monkeypatch.setattr(Rows, "jobs", jobs)
    slow = PostgresSink(empty, TYPES, CODEC, letterbox, ConsumingMetrics(CollectorRegistry()))
    with ThreadPoolExecutor(1) as thread:
        waking = thread.submit(slow.write, messages([job("a")]), [Move(JOBS, 0, 0, 1)])
        assert stands.wait(60)
        sink.write(messages([job("a")]), [Move(JOBS, 0, 0, 1)])
        goes_on.set()
        with pytest.raises(PositionMovedError):
            waking.result(120)
    slow.close()
    assert scalar(empty, "select count(*) from job_transitions") == 1


def test_the_same_batch_again_finds_out_that_it_was_committed(sink: PostgresSink, empty: str) -> None:
    """What happens when only the answer to COMMIT was lost."""
    sink.positions([(JOBS, 0)])
    sink.write(messages([job("a")]), [Move(JOBS, 0, 0, 1)])
    with pytest.raises(PositionMovedError):
        sink.write(messages([job("a")]), [Move(JOBS, 0, 0, 1)])
    assert scalar(empty, "select count(*) from job_transitions") == 1


def test_a_postgres_that_is_read_only_is_away_and_is_written_when_it_is_not(empty: str) -> None:
    """As a hot standby is: it answers, and refuses to write."""
    name = empty.rpartition("/")[2]
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(f'alter database "{name}" set default_transaction_read_only = on'.encode())
    sink = PostgresSink(empty, TYPES, CODEC, Posted(), ConsumingMetrics(CollectorRegistry()))
    for _ in range(2):
        with pytest.raises(TargetAwayError, match="read-only transaction"):
            sink.positions([(JOBS, 0)])
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        connection.execute(f'alter database "{name}" reset default_transaction_read_only'.encode())
    sink.positions([(JOBS, 0)])
    assert sink.write(messages([job()]), [Move(JOBS, 0, 0, 1)]) == 1
    sink.close()


def test_a_record_that_does_not_decode_goes_to_the_letterbox_and_stops_nothing(
    sink: PostgresSink, letterbox: Posted, empty: str
) -> None:
    sink.write([message(JOBS, 7, b"no avro"), *messages([job()])], [])
    (letter,) = letterbox.letters
    assert (letter.letter_id, letter.error_class, letter.value) == (f"{JOBS}-0-7", "undecodable", b"no avro")
    assert letter.tier == 1
    assert scalar(empty, "select count(*) from jobs") == 1


def test_a_record_that_postgres_refuses_goes_to_the_letterbox_and_stops_nothing(
    sink: PostgresSink, letterbox: Posted, empty: str
) -> None:
    good = [job(f"good-{number}") for number in range(20)]
    far = job("far", at=10**18)  # no timestamp of Postgres
    long = job(random.Random(1).randbytes(10_000).hex())  # no index entry of Postgres
    sink.write(messages([*good[:7], far, *good[7:12], long, *good[12:]]), [])
    assert [letter.error_class for letter in letterbox.letters] == ["unwritable", "unwritable"]
    assert scalar(empty, "select count(*) from jobs") == 20


def test_a_letter_that_does_not_decode_becomes_a_row_and_no_other_letter(
    sink: PostgresSink, letterbox: Posted, empty: str
) -> None:
    for _ in range(2):
        sink.write([message(LETTERS, 3, b"no letter")], [])
    assert letterbox.letters == []
    assert scalar(empty, "select letter_id from dead_letter_jobs") == f"{LETTERS}-0-3"


def test_tombstones_are_skipped(sink: PostgresSink) -> None:
    assert sink.write([message(JOBS, 0, None)], []) == 0


def test_odd_text_is_kept(sink: PostgresSink, empty: str) -> None:
    odd = job(
        "odd", data='{"a": "\\u0000 \\ud800", "b": 1e400}', user_id="nul \x00", ordering_key="tab\t\\N\n"
    )
    broken = job("broken", data="{")
    sink.write(messages([odd, broken]), [])
    assert scalar(empty, "select data::text from jobs where job_id = 'odd'") == odd.data
    assert scalar(empty, "select ordering_key from jobs where job_id = 'odd'") == odd.ordering_key
    assert scalar(empty, "select data #>> '{}' from jobs where job_id = 'broken'") == "{"


def test_a_lost_connection_is_an_absent_target_and_the_next_write_connects_again(
    sink: PostgresSink, empty: str
) -> None:
    sink.write(messages([job("a")]), [])
    with psycopg.connect(empty, autocommit=True) as other:
        other.execute(
            "select pg_terminate_backend(pid, 60000) from pg_stat_activity"
            " where application_name = 'tierflow-sink'"
        )
    with pytest.raises(TargetAwayError):
        sink.write(messages([job("b")]), [])
    sink.write(messages([job("b")]), [])
    assert scalar(empty, "select count(*) from jobs") == 2


def test_missing_tables_are_an_absent_target(sink: PostgresSink, empty: str) -> None:
    migrate(empty, 0)
    try:
        with pytest.raises(TargetAwayError, match="sink_offsets"):
            sink.positions([(JOBS, 0)])
    finally:
        migrate(empty)


def test_a_connection_that_stands_still_is_cut(empty: str) -> None:
    with connect(empty, "patience") as connection, pytest.raises(psycopg.OperationalError):  # noqa: SIM117
        with patience(connection, 0.3):
            connection.execute("select pg_sleep(20)")


def test_the_server_ends_a_transaction_that_stands_still(empty: str) -> None:
    with connect(empty, "still") as connection:
        found = connection.execute("show idle_in_transaction_session_timeout").fetchone()
        assert found == ("10s",)


def test_a_letter_is_read_as_it_was_written(sink: PostgresSink, empty: str) -> None:
    written = dead_letter()
    sink.write(messages([written]), [])

    async def ask() -> DeadLetter | None:
        letters = DeadLetterStore(empty)
        await letters.pool.open()
        kept = await letters.one(written.letter_id, None)
        await letters.pool.close()
        return None if kept is None else kept.letter

    assert asyncio.run(ask()) == written
    assert scalar(empty, "select value from dead_letter_jobs") == written.value
    assert scalar(empty, "select headers ->> 'raw' from dead_letter_jobs") == "base64://4="


def test_the_old_runbooks_view_names_open_jobs(sink: PostgresSink, empty: str) -> None:
    active = lifecycle(job("b"), Transition(1, "waiting", "active", 1, NOW))
    sink.write(
        messages([job("a"), job("b"), active, job("c"), lifecycle(job("c"), started(), completed())]), []
    )
    with psycopg.connect(empty) as connection:
        rows = connection.execute(
            "select id, status from critical_jobs where status in ('pending', 'processing') order by id"
        ).fetchall()
    assert rows == [("a", "pending"), ("b", "processing")]


def test_an_unknown_job_is_none_and_an_absent_postgres_unavailable(empty: str) -> None:
    assert read_job(empty, "unknown") is None
    with pytest.raises(UnavailableError):
        read_job("postgresql://nobody@127.0.0.1:1/none", "a")
