"""`tierflow replay`: records of a topic once more, to another topic, to the same, or to the terminal."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from connectors.kafka.murmur import partition_of
from connectors.kafka.reading import EDGE, Bound, Reader, Span
from connectors.kafka.registry import codec as make_codec
from connectors.kafka.replay import Copied, Cursor, Plan, copy
from connectors.kafka.replay_index import ReplayIndex, cover, key_of
from connectors.kafka.replay_selection import KEYS, Selection, Selector, records_of
from connectors.kafka.replay_target import check_target, ensure_target
from connectors.kafka.topic_ids import TopicIds
from ops.replay.bounds import BoundType
from ops.replay.views import bar, line
from streams.settings import Settings, load
from streams.topics import Topology

STDOUT = "-"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    settings: Settings
    topology: Topology
    source: str
    selection: Selection
    use_index: bool
    rate: float | None
    as_json: bool

    def selector(self) -> Selector:
        """Tells the records apart."""
        return Selector(
            self.selection, make_codec(self.settings.kafka), records_of(self.topology, self.source)
        )


@click.command("replay")
@click.argument("topic")
@click.option("--from", "start", type=BoundType(), default=EDGE, help="Offset, ISO time, or 90m, 7d (ago).")
@click.option("--until", "end", type=BoundType(), default=EDGE, help="The same; before it the replay ends.")
@click.option("--partition", "partitions", type=click.IntRange(0), multiple=True, help="Only these.")
@click.option("--document", help="Only records of this document.")
@click.option("--tenant", help="Only records of this tenant.")
@click.option("--job", help="Only records of this job (or event) id.")
@click.option("--type", "kind", help="Only records of this job (or event) type.")
@click.option("--into", "target", help="The topic to write to, or - for lines of JSON on standard output.")
@click.option("--execute", is_flag=True, help="Really write; without it only say what would be written.")
@click.option("--with-effects", is_flag=True, help="Allow an ingress topic: everything runs again.")
@click.option("--rate", type=click.FloatRange(min=0.1), help="At most so many records a second.")
@click.option("--index/--no-index", "use_index", default=True, help="Read only blocks with the key asked.")
@click.option("--resume", metavar="NAME", help="Go on with a replay that was stopped; needs only its topic.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on standard output.")
def command(
    topic: str, start: Bound, end: Bound, partitions: tuple[int, ...], document: str | None,
    tenant: str | None, job: str | None, kind: str | None, target: str | None, execute: bool,
    with_effects: bool, rate: float | None, use_index: bool, resume: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Replay TOPIC (with or without its prefix) from an offset or a time.

    Says first what it would do; `--execute` does it. A topic of your own is free to write to and made when
    missing; `events` and `job-requests` run what they get, so they need `--with-effects`. What is stopped,
    however, goes on with `--resume NAME`, and every record is written once.
    """
    settings = load()
    topology = Topology.of(settings.kafka)
    source = _named(topology, topic)
    asked = Asked(
        settings, topology, source, Selection(document, tenant, job, kind), use_index, rate, as_json
    )
    if resume:
        _resume(asked, resume)
        return
    into = target if target in (None, STDOUT) else _named(topology, target or "")
    if into not in (None, STDOUT):
        check_target(topology, source, str(into), with_effects=with_effects)
    with Reader(settings.kafka) as reader:
        spans = reader.spans(source, start, end, _among(asked, reader, partitions))
        if into == STDOUT:
            _print(asked, reader, spans)
            return
        if not execute or into is None:
            _survey(asked, reader, spans, into)
            return
    _begin(asked, into, spans)


def _named(topology: Topology, topic: str) -> str:
    """A declared topic may be named without its prefix."""
    full = f"{topology.prefix}{topic}"
    return full if full in {declared.name for declared in topology.topics()} else topic


def _among(asked: Asked, reader: Reader, partitions: tuple[int, ...]) -> tuple[int, ...] | None:
    """The partitions that can hold what is asked for; None for all."""
    declared = {topic.name: topic for topic in asked.topology.topics()}.get(asked.source)
    document = asked.selection.document
    if partitions or document is None or declared is None or declared.key != "documentId":
        return partitions or None
    return (partition_of(document.encode(), len(reader.partitions(asked.source))),)


def _narrowed(asked: Asked, reader: Reader, spans: list[Span]) -> list[Span]:
    """The parts of the spans that are worth reading; extends the index where it ends too early."""
    keys = [key_of(name, text) for name, text in asked.selection.wanted.items() if name in KEYS]
    if not keys or not asked.use_index:
        return spans
    folder = Path(asked.settings.process.data_dir) / "replay-index"
    identity = TopicIds(asked.settings.kafka).of([asked.source])[asked.source]
    with ReplayIndex(folder, asked.source, identity) as index:
        missing = sum(map(len, index.uncovered(spans)))
        with bar("indexing", missing) as advance:
            cover(index, reader, asked.selector(), spans, advance)
        return index.narrowed(spans, keys)


def _survey(asked: Asked, reader: Reader, spans: list[Span], target: str | None) -> None:
    """Say what a replay would do."""
    narrowed, selector = _narrowed(asked, reader, spans), asked.selector()
    first, last, count = None, None, 0
    if asked.selection.wanted:
        with bar("looking", sum(map(len, narrowed))) as advance:
            for batch in reader.read(narrowed):
                for message in batch:
                    value = message.value()
                    if selector.matches(value if isinstance(value, bytes) else None):
                        count += 1
                        at = message.timestamp()[1]
                        first, last = min(first or at, at), max(last or at, at)
                advance(len(batch))
    report: dict[str, Any] = {
        "source": asked.source,
        "target": target,
        "executed": False,
        "partitions": {span.partition: [span.start, span.end] for span in spans},
        "offsets": sum(map(len, spans)),
        "offsets_read": sum(map(len, narrowed)) if asked.selection.wanted else 0,
        "records": count if asked.selection.wanted else None,
        "first_at": first,
        "last_at": last,
        "unreadable": selector.unreadable,
    }
    if asked.as_json:
        click.echo(json.dumps(report))
        return
    what = f"{count} records" if asked.selection.wanted else f"at most {report['offsets']} records"
    where = f" to {target}" if target else ""
    click.echo(f"would replay {what} of {asked.source}{where}; nothing was written")
    if target:
        click.echo("say --execute to do it", err=True)


def _print(asked: Asked, reader: Reader, spans: list[Span]) -> None:
    """The records as lines of JSON."""
    selector = asked.selector()
    for batch in reader.read(_narrowed(asked, reader, spans)):
        for message in batch:
            value = message.value()
            if selector.matches(value if isinstance(value, bytes) else None):
                click.echo(line(message, selector))


def _begin(asked: Asked, target: str, spans: list[Span]) -> None:
    name = secrets.token_hex(4)
    with Cursor(asked.settings.kafka, name) as cursor:
        count = len(cursor.reader.partitions(asked.source))
        if target not in {topic.name for topic in asked.topology.topics()}:
            ensure_target(asked.settings.kafka, target, count)
        own = target not in (asked.topology.events, asked.topology.job_requests)
        wanted = asked.selection
        plan = Plan(
            asked.source, target, wanted.document, wanted.tenant, wanted.job, wanted.type,
            same_partition=len(cursor.reader.partitions(target)) == count,
            # In an ingress topic the age of a record is that of the request for it.
            keep_time=own,
        )  # fmt: skip
        click.echo(f"replay {name}: {asked.source} to {target}", err=True)
        cursor.start(plan, spans)
        _copy(asked, cursor, plan, spans)


def _resume(asked: Asked, name: str) -> None:
    with Cursor(asked.settings.kafka, name) as cursor:
        plan, spans = cursor.found(asked.source)
        selection = Selection(plan.document, plan.tenant, plan.job, plan.type)
        again = Asked(
            asked.settings, asked.topology, plan.source, selection, asked.use_index, asked.rate, asked.as_json
        )
        _copy(again, cursor, plan, spans)


def _copy(asked: Asked, cursor: Cursor, plan: Plan, spans: list[Span]) -> None:
    narrowed, selector = _narrowed(asked, cursor.reader, spans), asked.selector()
    shown = 0
    with bar("replaying", sum(map(len, narrowed))) as advance:

        def progress(_: dict[int, int], copied: Copied) -> None:
            nonlocal shown
            advance(copied.read - shown)
            shown = copied.read

        matches = selector.matches if asked.selection.wanted else None
        copied = copy(cursor, plan, spans, narrowed, matches, asked.rate, progress)
    report = {
        "name": cursor.name,
        "source": plan.source,
        "target": plan.target,
        "executed": True,
        "read": copied.read,
        "written": copied.written,
        "unreadable": selector.unreadable,
        "seconds": round(copied.seconds, 3),
    }
    if asked.as_json:
        click.echo(json.dumps(report))
    else:
        click.echo(f"wrote {copied.written} of {copied.read} records read, in {copied.seconds:.1f} s")
