"""`tierflow dlq`: dead letters listed, grouped, shown, exported, driven again, deleted; without the gateway.

Works on PostgreSQL, Kafka and Valkey directly, with every tenant's letters: for those who operate the system.
Exit status 0: done; 1: nothing was found, or a re-drive stopped or failed again; 2: wrong usage.
"""

import asyncio
import getpass
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

import click
import msgspec

from agents.handlers import registry
from connectors.gateway.failed_answer import group_of, letter_of, run_of, stats_of, whole_letter_of
from connectors.gateway.failed_query import named
from connectors.gateway.redrive_body import edit_body
from connectors.kafka.producer import Producer
from connectors.kafka.registry import codec
from connectors.letter_export import Format, lines
from connectors.postgres.dead_letters import DeadLetterStore
from connectors.postgres.letter_filter import LetterFilter
from connectors.postgres.redrives import Run
from connectors.redis.status import StatusStore
from connectors.redrive.canary import STAGES, Plan
from connectors.redrive.edit import Edit
from connectors.redrive.service import Redrives
from ops import letters_shown as shown
from ops.redriving import make_redrives
from ops.stack.running import settings_of_running
from streams.log import configure

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
_FATES = ["open", "redriven", "all"]
NOTHING = 1


@click.group()
def command() -> None:
    """Dead letters: look at them, drive them again, export or delete them."""


def _filtered(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which letters are meant; they arrive as one LetterFilter, `asked`."""

    def gathered(**given: Any) -> None:
        names = [name for name in LetterFilter.__struct_fields__ if name in given]
        members = {name: given.pop(name) for name in names}
        members["ids"] = list(members.get("ids") or ()) or None
        command(asked=named(LetterFilter(**members)), **given)

    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    gathered.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(
        [
            click.option("--id", "ids", multiple=True, help="A letter's id; may be repeated."),
            click.option("--queue"),
            click.option("--type"),
            click.option("--tier", type=click.IntRange(0, 3), help="0: records that are no jobs."),
            click.option("--error-class"),
            click.option("--fingerprint", help="A group's, as `dlq groups` shows it."),
            click.option("--job-id"),
            click.option("--document-id"),
            click.option("--user-id"),
            click.option("--tenant-id"),
            click.option("--since", callback=_moment, help="Failed since: ISO 8601, or 15m, 8h, 30d ago."),
            click.option("--until", callback=_moment, help="Last failed before."),
            click.option("--fate", type=click.Choice(_FATES), default="open", show_default=True),
        ]
    ):
        gathered = option(gathered)
    return gathered


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    if value[:-1].isdigit() and value[-1] in units:
        return datetime.now(UTC) - timedelta(seconds=int(value[:-1]) * units[value[-1]])
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter("use ISO 8601, or 90s, 15m, 8h, 30d ago") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@command.command("list")
@_filtered
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Where the page before ended.")
@_json
def list_(asked: LetterFilter, limit: int, cursor: str | None, as_json: bool) -> None:
    """List letters, latest first. Exit status 1 when there are none."""

    async def work() -> None:
        async with _letters() as letters:
            page = await letters.page(asked, None, cursor=cursor, limit=limit)
        if as_json:
            _print({"failed": [letter_of(kept) for kept in page.letters], "cursor": page.cursor})
        else:
            shown.letters(page)
        _ended(bool(page.letters))

    _run(work())


@command.command()
@_filtered
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@_json
def groups(asked: LetterFilter, limit: int, as_json: bool) -> None:
    """Group letters by their cause, the largest group first. Exit status 1 when there are none."""

    async def work() -> None:
        async with _letters() as letters:
            found = [group_of(group) for group in await letters.groups(asked, None, limit=limit)]
        if as_json:
            _print(found)
        else:
            shown.groups(found)
        _ended(bool(found))

    _run(work())


@command.command()
@_filtered
@_json
def stats(asked: LetterFilter, as_json: bool) -> None:
    """Count letters by error class, type and hour."""

    async def work() -> None:
        async with _letters() as letters:
            figures = await letters.figures(asked, None)
            found = stats_of(figures, await letters.groups(asked, None, limit=20))
        if as_json:
            _print(found)
        else:
            shown.stats(found)

    _run(work())


@command.command()
@click.argument("letter_id")
@_json
def show(letter_id: str, as_json: bool) -> None:
    """Show a letter with its original bytes and each attempt's error."""

    async def work() -> None:
        async with _letters() as letters:
            kept = await letters.one(letter_id, None)
        if kept is None:
            raise click.ClickException(f"there is no dead letter {letter_id}")
        if as_json:
            _print(whole_letter_of(kept))
        else:
            shown.letter(kept)

    _run(work())


@command.command()
@_filtered
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl"]), default="jsonl", show_default=True)
@click.option("--output", type=click.File("wb"), default="-", help="A file (default: standard output).")
def export(asked: LetterFilter, kind: Format, output: BinaryIO) -> None:
    """Write letters as CSV, or as JSON lines with their original bytes in base64; oldest first."""

    async def work() -> None:
        count = 0
        async with _letters() as letters:
            async for line in lines(letters.stream(asked, None, with_bytes=kind == "jsonl"), kind):
                output.write(line)
                count += 1
        output.flush()
        written = count - (kind == "csv")
        click.echo(f"{written} letters", err=True)
        _ended(written > 0)

    _run(work())


@command.command()
@_filtered
@click.option("--all", "everything", is_flag=True, help="Every letter that nobody has re-driven.")
@click.option("--data", help="A JSON object in place of each letter's data.")
@click.option("--patch", help="A JSON merge patch on each letter's data.")
@click.option("--record", help="A job, as for POST /jobs, in place of ONE letter that was no job.")
@click.option("--rate", type=click.FloatRange(0, 100_000, min_open=True), help="Letters a second.")
@click.option("--canary/--no-canary", default=True, show_default=True, help="1 %, then 10 %, then all.")
@click.option("--tolerated", type=click.FloatRange(0, 1), default=0.1, show_default=True,
              help="The share that may fail again.")  # fmt: skip
@click.option("--patience", "patience_s", type=float, default=600.0, show_default=True,
              help="Seconds until a stage must be decided.")  # fmt: skip
@click.option("--by", default=getpass.getuser, help="Who orders it (default: the system's user).")
@click.option("--execute", is_flag=True, help="Do it; without this only tell what would be.")
@_json
def redrive(
    asked: LetterFilter, everything: bool, data: str | None, patch: str | None, record: str | None,
    rate: float | None, canary: bool, tolerated: float, patience_s: float, by: str, execute: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Give letters another attempt series, one by --id or all that the filter means.

    A canary stops the run by itself when too many of the first fail again. Exit status 1: it stopped, letters
    failed again or could not be sent, or there were none. Ctrl-C stops the run.
    """
    edit = _edit(data, patch, record)
    if asked == LetterFilter() and not everything:
        raise click.UsageError("this means every letter: say so with --all")
    if edit.record is not None and len(asked.ids or ()) != 1:
        raise click.UsageError("--record belongs to one --id")
    plan = Plan(STAGES if canary else (100,), tolerated, patience_s, rate)

    async def work() -> None:
        async with _letters() as letters, _redrives(letters) as redrives:
            if not execute:
                figures = await letters.figures(asked, None)
                click.echo(f"{figures.total} letters would be driven again; --execute does it", err=True)
                if as_json:
                    _print({"matches": figures.total, "dryRun": True})
                _ended(figures.total > 0)
                return
            run_id = await redrives.create(asked, None, edit, plan, by=by)
            run = await _worked(redrives, run_id, as_json)
            if as_json:
                _print(run_of(run, await redrives.problems(run_id)))
            else:
                shown.run(run, await redrives.problems(run_id))
        good = run.state == "done" and run.tally.sent > 0 and not run.tally.failing and not run.tally.refused
        _ended(good)

    _run(work())


@command.command()
@_filtered
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--by", default=getpass.getuser, help="Who orders it (default: the system's user).")
@_json
def delete(asked: LetterFilter, yes: bool, by: str, as_json: bool) -> None:
    """Delete letters from PostgreSQL; their topics keep them for 90 days. Exit status 1: there are none."""

    async def work() -> None:
        async with _letters() as letters:
            found = (await letters.figures(asked, None)).total
            if found and not yes:
                click.confirm(f"delete {found} letters?", abort=True, err=True)
            deleted = await letters.delete(asked, None, by=by) if found else 0
        if as_json:
            _print({"deleted": deleted})
        else:
            click.echo(f"{deleted} letters deleted")
        _ended(deleted > 0)

    _run(work())


async def _worked(redrives: Redrives, run_id: str, as_json: bool) -> Run:
    """The run when it is over; stopped when we are interrupted."""
    run = await redrives.run(run_id)
    try:
        with shown.progress(run.tally, quiet=as_json or not sys.stderr.isatty()) as update:
            await redrives.work(run_id, update)
    except asyncio.CancelledError:
        await redrives.stop(run_id, "Ctrl-C")
        raise
    return await redrives.run(run_id)


def _edit(data: str | None, patch: str | None, record: str | None) -> Edit:
    given = {"data": data, "patch": patch, "record": record}
    texts = [f"{json.dumps(name)}: {text}" for name, text in given.items() if text is not None]
    try:
        return edit_body(f"{{{', '.join(texts)}}}".encode())
    except (ValueError, msgspec.DecodeError) as error:
        raise click.UsageError(f"an edit is a JSON object: {error}") from error


@asynccontextmanager
async def _letters() -> AsyncIterator[DeadLetterStore]:
    letters = DeadLetterStore(settings_of_running().postgres.url.get_secret_value())
    await letters.pool.open()
    try:
        yield letters
    finally:
        await letters.pool.close()


@asynccontextmanager
async def _redrives(letters: DeadLetterStore) -> AsyncIterator[Redrives]:
    settings = settings_of_running()
    configure(settings.process)
    registry.declare(settings.handlers.packages)
    producer = Producer(settings.kafka, f"{settings.process.instance}-dlq")
    status = StatusStore(settings.redis.url.get_secret_value(), settings.kafka.topic_prefix)
    producer.start()
    try:
        yield make_redrives(settings, letters, producer, status, codec(settings.kafka))
    finally:
        await producer.close()
        await status.close()


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def _print(value: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _ended(found: bool) -> None:
    if not found:
        raise SystemExit(NOTHING)
