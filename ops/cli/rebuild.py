"""`tierflow rebuild postgres|redis`: what the sink wrote, once more from the topics alone."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
import psycopg
from prometheus_client import CollectorRegistry

from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.rebuild import BATCH_RECORDS, Filled, fill, spans_of
from connectors.consuming.target import Target
from connectors.kafka.reading import Reader, Span
from connectors.kafka.registry import codec as make_codec
from connectors.postgres import rebuilt as tables
from connectors.postgres import sink as postgres
from connectors.postgres.migrate import migrate
from connectors.postgres.retention import retain
from connectors.redis import projector as redis
from connectors.redis import rebuilt as model
from connectors.redis.keys import prefix_of
from ops.replay.views import bar
from schemas.errors import ConfigError, UnavailableError
from schemas.records import DeadLetter
from streams.log import configure
from streams.settings import Settings, load
from streams.topics import Topology

_AT_ONCE = 2

_json = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on standard output.")
_swap = click.option("--swap", is_flag=True, help="Put what was rebuilt in the place of the original.")


class Unposted:
    """A letterbox for records that the sink has posted letters of, long ago: counts them."""

    def __init__(self) -> None:
        self.letters = 0

    def post(self, letter: DeadLetter) -> None:
        """Nothing is written."""
        self.letters += 1


@click.group("rebuild")
def command() -> None:
    """Rebuild what the sink wrote from the topics, beside the original: to compare it, or to replace it."""


@command.command("postgres")
@click.option("--into", "into", metavar="URL", help="Fill this empty database instead of a schema beside.")
@_swap
@_json
def rebuild_postgres(into: str | None, swap: bool, as_json: bool) -> None:
    """Rebuild jobs, transitions, dead letters and offsets.

    Without --swap: up to where the sink stood at the beginning, and then compared row by row with the tables
    as they were at that moment; exit status 1 when they differ. With --swap: up to the topics' ends; the
    sinks may go on running. The original tables are then in the schema tierflow_replaced.
    """
    settings = load()
    configure(settings.process)
    if swap and into:
        raise ConfigError("--swap needs the tables in the same database: leave --into out")
    url = settings.postgres.url.get_secret_value()
    target_url = into or tables.rebuilt_url(url)
    try:
        _prepare(url, into)
        with tables.snapshot(url) as original:
            ends = None if swap else tables.written(original)
            report = _fill(settings, _sink(settings, target_url), postgres, ends, BATCH_RECORDS)
            if swap:
                original.rollback()
                retain(target_url)
                report["carried_over"] = _carry_over(url, report)
                tables.swap(url)
            else:
                now = datetime.now(UTC)
                with tables.snapshot(target_url) as made:
                    report["differences"] = {
                        table: asdict(found) for table, found in tables.compare(original, made, now).items()
                    }
                if not into:
                    original.rollback()
                    tables.discard(url)
    except psycopg.Error as error:
        raise UnavailableError(f"Postgres stopped the rebuild: {' '.join(str(error).split())}") from error
    _tell(report, as_json)


@command.command("redis")
@click.option("--database", "number", type=click.IntRange(0), help="Database to fill; it is emptied first.")
@_swap
@_json
def rebuild_redis(number: int | None, swap: bool, as_json: bool) -> None:
    """Rebuild the status of all jobs in another database of the same Redis (the first empty one).

    Without --swap it is compared with the original, and emptied again; exit status 1 when they differ. With
    --swap the two databases change places at once (SWAPDB); then the original is in the other one.
    """
    settings = load()
    configure(settings.process)
    url, prefix = settings.redis.url.get_secret_value(), prefix_of(settings.kafka.topic_prefix)
    chosen = model.free_database(url) if number is None else number
    if chosen == model.database_in(url):
        raise ConfigError("that is the database in use")
    beside = model.in_database(url, chosen)
    model.clear(beside)
    ends = None if swap else model.written(url, prefix)
    report = _fill(settings, _projector(settings, beside), redis, ends, redis.BATCH_RECORDS)
    report["database"] = chosen
    if swap:
        model.swap(url, chosen)
    else:
        report["differences"] = {"keys": asdict(model.compare(url, beside, prefix))}
        report["moved_meanwhile"] = model.written(url, prefix) != ends
        model.clear(beside)
    _tell(report, as_json)


def _prepare(url: str, into: str | None) -> None:
    if into is None:
        tables.prepare(url)
        return
    migrate(into)
    with psycopg.connect(into) as connection:
        if connection.execute("select from job_homes limit 1").fetchone():
            raise ConfigError("the database to fill holds jobs; give an empty one")


def _sink(settings: Settings, url: str) -> Callable[[ConsumingMetrics], Target]:
    records = postgres.record_types(Topology.of(settings.kafka))
    codec = make_codec(settings.kafka)
    return lambda metrics: postgres.PostgresSink(url, records, codec, Unposted(), metrics)


def _projector(settings: Settings, url: str) -> Callable[[ConsumingMetrics], Target]:
    records = redis.record_types(Topology.of(settings.kafka))
    prefix, codec = prefix_of(settings.kafka.topic_prefix), make_codec(settings.kafka)
    return lambda metrics: redis.RedisProjector(url, prefix, records, codec, metrics)


def _fill(
    settings: Settings, make: Callable[[ConsumingMetrics], Target], what: Any, ends: Any, batch_records: int
) -> dict[str, Any]:
    """Fill the target, two partitions at a time: while one batch is written the other is decoded."""
    began, used = time.monotonic(), time.process_time()
    metrics = ConsumingMetrics(CollectorRegistry())
    with Reader(settings.kafka) as reader:
        spans: list[Span] = spans_of(reader, what.record_types(Topology.of(settings.kafka)), ends)
    with (
        bar("rebuilding", sum(map(len, spans))) as advance,
        ThreadPoolExecutor(_AT_ONCE, "rebuild") as threads,
    ):

        def fill_one(number: int) -> Filled:
            target = make(metrics)
            try:
                with Reader(settings.kafka) as reader:
                    ours = [span for span in spans if span.partition == number]
                    return fill(reader, target, ours, batch_records, advance)
            finally:
                target.close()

        filled = list(threads.map(fill_one, sorted({span.partition for span in spans})))
    return {
        "records": sum(one.records for one in filled),
        "rows": sum(one.rows for one in filled),
        "horizon": max((one.horizon for one in filled if one.horizon is not None), default=None),
        "seconds": round(time.monotonic() - began, 2),
        "cpu_seconds": round(time.process_time() - used, 2),
    }


def _carry_over(url: str, report: dict[str, Any]) -> dict[str, int]:
    """What the topics no longer hold stays as it was."""
    if report["horizon"] is None:
        return {}
    return tables.carry_over(url, datetime.fromtimestamp(report["horizon"] / 1000, UTC))


def _tell(report: dict[str, Any], as_json: bool) -> None:
    differences = report.get("differences", {})
    wrong = any(found["count"] for found in differences.values())
    if as_json:
        click.echo(json.dumps(report))
    else:
        click.echo(f"{report['records']} records in {report['seconds']} s")
        for table, found in differences.items():
            click.echo(f"{table}: {found['count'] or 'no'} differences")
            for kind in ("missing", "extra", "differing"):
                for key in found[kind]:
                    click.echo(f"  {kind} {key}")
        if "differences" not in report:
            click.echo("swapped in")
    raise SystemExit(1 if wrong else 0)
