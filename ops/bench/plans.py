"""What Postgres does for each listed query on many generated jobs: the plan's scans, and how long it takes.

The jobs are generated inside of Postgres over the last year: 1,000 tenants, 100,000 users, 200,000 documents,
one in a thousand not ended; NFT jobs in their own family. Two transitions a job; one dead letter for each
hundred jobs.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, cast

import psycopg

from connectors.postgres.job_search import JobFilter, search
from connectors.postgres.letter_filter import LetterFilter, condition
from connectors.postgres.migrate import migrate
from connectors.postgres.months import FAMILIES, following
from connectors.postgres.queries import JOB, TRANSITIONS
from ops.bench.infrastructure import infrastructure
from ops.stack.progress import Say
from schemas.states import State

Connection = psycopg.Connection[Any]
Asked = tuple[str, str, Any]

_CHUNK = 250_000
DAYS = 360
# So few rows are read faster than their index.
_SMALL = 2_000


@dataclass(frozen=True, slots=True)
class Planned:
    """One query as Postgres runs it."""

    name: str
    milliseconds: float
    blocks: int
    scans: dict[str, int]
    whole_months: list[str]
    """Months of many rows that were read from beginning to end."""


def fill(database_url: str, jobs: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Generate jobs into an empty database that is made ready first."""
    migrate(database_url)
    now = datetime.now(UTC)
    first = now - timedelta(days=DAYS)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("set synchronous_commit = off")
        for family in FAMILIES:
            for step in range(14):
                connection.execute("select make_month(%s, %s)", (family, following(first.date(), step)))
        for what, count in (("jobs", jobs), ("letters", max(1, jobs // 100))):
            statement = (files(__package__) / f"plans_{what}.sql").read_text()
            step_ = timedelta(days=DAYS) / count
            for low in range(1, count + 1, _CHUNK):
                values = {"first": first, "step": step_, "low": low, "high": min(count, low + _CHUNK - 1)}
                connection.execute(cast(Any, statement), values)
                say(f"{values['high']:,} of {count:,} {what}")
        connection.execute("vacuum analyze")


def asked(connection: Connection) -> Iterator[Asked]:
    """Every listed query, by name, with values that find something."""
    row = connection.execute(
        "select job_id, document_id, user_id, tenant_id, accepted_at from jobs where job_id = %s",
        ("job-" + f"{4_242:x}".rjust(12, "0"),),
    ).fetchone()
    assert row is not None
    job, document, user, tenant, at = row
    now = datetime.now(UTC)
    yield "one job", JOB, (job,)
    yield "its timeline", TRANSITIONS, (job,)
    for name, wanted, tenants in (
        ("jobs, latest", JobFilter(), None),
        ("jobs of a tenant", JobFilter(), [tenant]),
        ("jobs of a user", JobFilter(user_id=user), None),
        ("jobs of a document", JobFilter(document_id=document), None),
        ("jobs of a queue, delayed", JobFilter(queue="money", state=State.DELAYED), None),
        ("jobs of a queue, dead", JobFilter(queue="money", state=State.DEAD), [tenant]),
        ("jobs of a queue, completed", JobFilter(queue="money", state=State.COMPLETED), None),
        ("jobs of a day", JobFilter(since=at, until=at + timedelta(days=1)), None),
        ("NFT jobs of the last week", JobFilter(type="nft-mint", since=now - timedelta(days=7)), None),
    ):
        yield (name, *search(wanted, tenants))
    yield "jobs of a tenant, a later page", *search(JobFilter(), [tenant], after=(at, job))
    for name, letters, tenants in (
        ("dead letters, latest", LetterFilter(fate="all"), None),
        ("dead letters of a tenant", LetterFilter(fate="all"), [tenant]),
        ("dead letters of a queue", LetterFilter(queue="money", fate="all"), None),
        ("dead letters of a fingerprint", LetterFilter(fingerprint="fingerprint-7", fate="all"), None),
        ("dead letters of a job", LetterFilter(job_id="job-" + f"{100:x}".rjust(12, "0"), fate="all"), None),
        ("one dead letter", LetterFilter(ids=["letter-7"], fate="all"), None),
    ):
        where, values = condition(letters, tenants)
        order = "order by l.last_failed_at desc, l.letter_id desc limit 51"
        yield name, f"select l.letter_id from dead_letter_jobs l where {where} {order}", values


async def run(jobs: int, say: Say) -> dict[str, Any]:
    """Generate jobs in a Postgres of our own and tell what each query does."""
    async with infrastructure(say) as on:
        url = on.environment["DATABASE_URL"]
        await asyncio.to_thread(fill, url, jobs, say)
        found = await asyncio.to_thread(plans, url)
        say("migrations down and up")
        took = await asyncio.to_thread(migrations, url)
    return {
        "jobs": jobs,
        "queries": [asdict(one) for one in found],
        "migrations": took,
        "lines": [*lines(found), *(f"migration {name:24}{seconds:8.1f} s" for name, seconds in took.items())],
    }


def migrations(database_url: str) -> dict[str, float]:
    """Seconds of each migration but the first, down and up again; AssertionError when rows are lost."""
    took = {}
    before = _counts(database_url)
    with psycopg.connect(database_url) as connection:
        applied = connection.execute("select number from schema_migrations order by number").fetchall()
    numbers = [number for (number,) in applied]
    for goal in (*reversed(numbers[:-1]), *numbers[1:]):
        began = time.perf_counter()
        [name] = migrate(database_url, goal)
        took[name] = time.perf_counter() - began
        assert _counts(database_url) == before, name
    return took


def _counts(database_url: str) -> list[int]:
    tables = ("jobs", "job_transitions", "dead_letter_jobs")
    with psycopg.connect(database_url) as connection:
        rows = (connection.execute(f"select count(*) from {table}".encode()).fetchone() for table in tables)
        return [row[0] for row in rows if row is not None]


def plans(database_url: str) -> list[Planned]:
    """Run each query with EXPLAIN ANALYZE, warm."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        return [_planned(connection, *one) for one in list(asked(connection))]


def _planned(connection: Connection, name: str, query: str, values: Any) -> Planned:
    for _ in range(2):
        began = time.perf_counter()
        row = connection.execute(
            cast(Any, f"explain (analyze, buffers, format json) {query}"), values
        ).fetchone()
        took = (time.perf_counter() - began) * 1000
    assert row is not None
    plan = row[0][0]["Plan"]
    nodes = [node for node in _nodes(plan) if node.get("Actual Loops")]
    scans: dict[str, int] = {}
    for node in nodes:
        if "Scan" in node["Node Type"]:
            scans[node["Node Type"]] = scans.get(node["Node Type"], 0) + 1
    whole = [
        node["Relation Name"]
        for node in nodes
        if node["Node Type"].endswith("Seq Scan") and _rows_read(node) > _SMALL
    ]
    blocks = plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0)
    return Planned(name, took, blocks, scans, whole)


def _rows_read(node: dict[str, Any]) -> float:
    return float(node["Actual Rows"]) + float(node.get("Rows Removed by Filter", 0))


def lines(found: Iterable[Planned]) -> list[str]:
    """A line a query."""
    return [
        f"{one.name:34}{one.milliseconds:8.1f} ms {one.blocks:6} blocks  "
        + ", ".join(f"{count} {scan}" for scan, count in sorted(one.scans.items()))
        + (f"  READ WHOLE: {', '.join(one.whole_months)}" if one.whole_months else "")
        for one in found
    ]


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
