"""Dead letters and their re-drives on a real Postgres."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from connectors.postgres.connection import connect
from connectors.postgres.dead_letters import DeadLetterStore
from connectors.postgres.letter_filter import LetterFilter
from connectors.postgres.migrate import migrate
from connectors.postgres.redrives import RedriveStore, Sent
from connectors.postgres.rows import Rows
from connectors.postgres.sink import write_rows
from connectors.postgres.statements import CREATE_STAGING
from connectors.redrive.canary import Plan, Tally
from connectors.redrive.edit import Edit
from schemas.errors import ContractError
from schemas.records import AttemptError, DeadLetter
from tests.unit.connectors.postgres.builders import NOW, dead_letter

ALL = LetterFilter(fate="all")


def letters() -> list[DeadLetter]:
    """Six of two causes and two tenants, a second apart."""
    return [
        dead_letter(
            f"job-{number}:0", job_id=f"job-{number}", queue="money", type="payment-process",
            tenant_id=f"venue-{number % 2}", fingerprint=f"cause-{number % 3}", error_class="timeout",
            message=f"m {number}", value=b"\x00\xff" + bytes([number]), headers={"h": b"\xfe", "t": b"text"},
            errors=[AttemptError(1, NOW, "timeout", 'slow "\\ \x01')],
            first_failed_at=NOW, last_failed_at=NOW + 1_000 * number,
        )
        for number in range(6)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def database(database_url: str) -> str:
    migrate(database_url)
    return database_url


@pytest.fixture
async def store(database: str) -> AsyncIterator[DeadLetterStore]:
    with psycopg.connect(database) as connection:
        connection.execute(
            "truncate dead_letter_jobs, dead_letter_ids, dead_letter_redrives, redrive_runs,"
            " dead_letter_deletions"
        )
    with connect(database, "test") as connection:
        connection.execute(CREATE_STAGING.encode())
        write_rows(connection, Rows.of(letters()))
        connection.commit()
    made = DeadLetterStore(database)
    await made.pool.open()
    yield made
    await made.pool.close()


def ids(page: object) -> list[str]:
    return [kept.letter.letter_id for kept in page.letters]  # type: ignore[attr-defined]


async def test_pages_are_in_the_order_of_the_last_failure_and_follow_each_other(
    store: DeadLetterStore,
) -> None:
    first = await store.page(ALL, None, limit=4)
    second = await store.page(ALL, None, limit=4, cursor=first.cursor)
    assert ids(first) + ids(second) == [f"job-{number}:0" for number in (5, 4, 3, 2, 1, 0)]
    assert second.cursor is None
    with pytest.raises(ContractError):
        await store.page(ALL, None, cursor="nonsense")


async def test_a_tenants_letters_are_its_own(store: DeadLetterStore) -> None:
    assert ids(await store.page(ALL, ["venue-1"])) == ["job-5:0", "job-3:0", "job-1:0"]
    assert ids(await store.page(ALL, [])) == []
    assert await store.one("job-0:0", ["venue-1"]) is None


async def test_a_letter_comes_back_byte_for_byte(store: DeadLetterStore) -> None:
    kept = await store.one("job-3:0", None)
    assert kept is not None
    assert kept.letter == letters()[3]


async def test_groups_say_how_many_and_when_first_and_last(store: DeadLetterStore) -> None:
    groups = await store.groups(ALL, None)
    assert [(one.fingerprint, one.count, one.open) for one in groups] == [
        ("cause-0", 2, 2), ("cause-1", 2, 2), ("cause-2", 2, 2),
    ]  # fmt: skip
    assert (groups[1].first_seen, groups[1].last_seen, groups[1].latest_id) == (NOW, NOW + 4_000, "job-4:0")
    figures = await store.figures(LetterFilter(fingerprint="cause-1", fate="all"), ["venue-0"])
    assert (figures.total, figures.by_type[0].name) == (1, "money/payment-process")


async def test_a_stream_gives_every_letter_oldest_first(store: DeadLetterStore) -> None:
    found = [kept.letter.letter_id async for kept in store.stream(ALL, None, with_bytes=True)]
    assert found == [f"job-{number}:0" for number in range(6)]


async def test_no_letter_is_chosen_by_two_runs(store: DeadLetterStore) -> None:
    runs = RedriveStore(store.pool)
    edit, plan = Edit(patch='{"amount": 2}'), Plan(rate=5)
    order: dict[str, Any] = {"edit": edit, "plan": plan, "by": "ada", "holder": "p1"}
    assert await runs.create("r1", LetterFilter(fingerprint="cause-0"), None, **order) == 2
    assert await runs.create("r2", LetterFilter(), ["venue-0"], **order) == 2
    kept = await store.one("job-0:0", None)
    assert kept is not None
    assert kept.redriven is not None
    assert (kept.redriven.run_id, kept.redriven.by) == ("r1", "ada")
    assert ids(await store.page(LetterFilter(), None)) == ["job-5:0", "job-1:0"]
    run = await runs.run("r1")
    assert run is not None
    assert (run.edit, run.plan, run.tenants) == (order["edit"], order["plan"], None)


async def test_a_run_counts_what_became_of_its_letters(store: DeadLetterStore) -> None:
    runs = RedriveStore(store.pool)
    await runs.create("r", LetterFilter(), None, Edit(), Plan(), by="ada", holder="p1")
    assert [kept.letter for kept in await runs.following("r", 2)] == letters()[:2]
    await runs.sent("r", [Sent("job-0:0", "job-0", 1), Sent("job-1:0", "job-1", 1)])
    await runs.refused("r", "job-2:0", "no \x00 data")
    await runs.judged("r", {"job-0:0": "completed", "job-1:0": "failing"})
    run = await runs.run("r")
    assert run is not None
    assert run.tally == Tally(6, sent=2, completed=1, failing=1, refused=1)
    assert await runs.watched("r", 9) == [Sent("job-1:0", "job-1", 1)]
    assert [letter_id for letter_id, _ in await runs.problems("r")] == ["job-2:0"]


async def test_what_a_stopped_run_did_not_send_may_be_chosen_again(store: DeadLetterStore) -> None:
    runs = RedriveStore(store.pool)
    order: dict[str, Any] = {"edit": Edit(), "plan": Plan(), "by": "ada", "holder": "p1"}
    await runs.create("r1", LetterFilter(), None, **order)
    await runs.sent("r1", [Sent("job-0:0", "job-0", 1)])
    await runs.refused("r1", "job-1:0", "no")
    assert await runs.finish("r1", "stopped", "why")
    assert not await runs.finish("r1", "done")
    assert await runs.create("r2", LetterFilter(), None, **order) == 5


async def test_a_run_is_held_by_one_process_until_its_lease_runs_out(
    store: DeadLetterStore, database: str
) -> None:
    runs = RedriveStore(store.pool)
    await runs.create("r", LetterFilter(), None, Edit(), Plan(), by="ada", holder="p1")
    assert (await runs.hold("r", "p1"), await runs.hold("r", "p2")) == (True, False)
    assert await runs.abandoned() == []
    with psycopg.connect(database) as connection:
        connection.execute("update redrive_runs set leased_until = now() - interval '1 s'")
    assert await runs.abandoned() == ["r"]
    assert (await runs.hold("r", "p2"), await runs.hold("r", "p1")) == (True, False)


async def test_a_tenant_admin_lists_only_runs_that_touched_no_other_tenant(store: DeadLetterStore) -> None:
    runs = RedriveStore(store.pool)
    order: dict[str, Any] = {"edit": Edit(), "plan": Plan(), "by": "ada", "holder": "p1"}
    await runs.create("all", LetterFilter(ids=["job-0:0"]), None, **order)
    await runs.create("own", LetterFilter(ids=["job-2:0"]), ["venue-0"], **order)
    assert [run.run_id for run in await runs.runs(["venue-0"])] == ["own"]
    assert {run.run_id for run in await runs.runs(None)} == {"all", "own"}


async def test_what_is_deleted_is_remembered_with_its_digest(store: DeadLetterStore, database: str) -> None:
    assert await store.delete(LetterFilter(fingerprint="cause-1", fate="all"), ["venue-1"], by="eve") == 1
    assert await store.one("job-1:0", None) is None
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select letter_id, deleted_by, digest from dead_letter_deletions"
        ).fetchall()
    assert [(row[0], row[1]) for row in rows] == [("job-1:0", "eve")]
    assert rows[0][2] != 0
