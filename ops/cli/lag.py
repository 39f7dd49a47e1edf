"""`tierflow lag`: what every group has not done yet, in records and in seconds."""

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from connectors.consuming.kept import kept_positions
from connectors.kafka.lag import PartitionLag, State, by_topic, total
from connectors.kafka.lag_reading import LagReading
from connectors.kafka.lag_trend import Trend, Trends, drain_s
from connectors.kafka.readers import Reader, readers
from ops.stack.running import settings_of_running
from streams.topics import Topology

Seen = tuple[PartitionLag, Trend]
BEHIND = 1
_WORST = (State.REWOUND, State.STALLED, State.STANDING, State.MOVING, State.UNKNOWN, State.CAUGHT_UP)


@click.command("lag")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output, a line per partition.")
@click.option("--watch", is_flag=True, help="Show it again and again until Ctrl-C.")
@click.option("--partitions", is_flag=True, help="A line per partition instead of one per topic.")
@click.option("--group", "groups", multiple=True, help="Only this group; any group of the cluster.")
@click.option(
    "--interval", "interval_s", default=2.0, type=click.FloatRange(0.1), help="Seconds between two looks."
)
@click.option(
    "--max-seconds", type=float, help="Exit status 1 when a record has been unread for longer than this."
)
def command(
    as_json: bool,
    watch: bool,
    partitions: bool,
    groups: tuple[str, ...],
    interval_s: float,
    max_seconds: float | None,
) -> None:
    """Show the lag of every consumer group, read from the brokers.

    Two looks make a rate: the answer takes one interval. The positions of the sink are those in Postgres and
    Redis.
    """
    settings = settings_of_running()
    reading = LagReading(settings.kafka, kept_positions(settings))
    looks = Looks(reading, _chosen(reading, readers(Topology.of(settings.kafka)), groups), interval_s)
    seen = looks.twice()
    if watch and not as_json:
        _watch(looks, partitions)
    elif as_json:
        _print_json(seen)
        while watch:
            _print_json(looks.again())
    else:
        Console().print(table(seen, partitions))
    if max_seconds is not None and _latest(seen) > max_seconds:
        raise SystemExit(BEHIND)


class Looks:
    """Successive readings and what they mean together."""

    def __init__(self, reading: LagReading, asked: Sequence[Reader], interval_s: float) -> None:
        self._reading, self._asked, self._interval_s = reading, asked, interval_s
        self._trends = Trends()

    def twice(self) -> list[Seen]:
        """Two looks, for a first rate."""
        self._look()
        return self.again()

    def again(self) -> list[Seen]:
        """One look, after the interval."""
        time.sleep(self._interval_s)
        return self._look()

    def _look(self) -> list[Seen]:
        lags = self._reading.read(self._asked)
        now = time.monotonic()
        return [(lag, self._trends.note(lag, now)) for lag in lags]


def table(seen: Sequence[Seen], partitions: bool = False) -> Table:
    """The lag as a table, a line per topic or per partition."""
    made = Table("group", "topic", "part." if partitions else "parts", box=None, header_style="bold")
    for heading in ("records", "oldest", "lost", "read/s", "written/s", "drained in"):
        made.add_column(heading, justify="right")
    made.add_column("state")
    made.add_column("kept in")
    trends = {(lag.group, lag.place): trend for lag, trend in seen}
    last = ""
    for (group, topic), lags in by_topic(lag for lag, _ in seen).items():
        for line in [[lag] for lag in lags] if partitions else [lags]:
            of_line = [trends[lag.group, lag.place] for lag in line]
            number = str(line[0].partition) if partitions else str(len(line))
            made.add_row(group if group != last else "", topic, number, *_figures(line, of_line))
            last = group
    return made


def _figures(lags: Sequence[PartitionLag], trends: Sequence[Trend]) -> tuple[str, ...]:
    whole = total(lags)
    read, written = sum(t.read_rate for t in trends), sum(t.written_rate for t in trends)
    about = "" if all(lag.exact for lag in lags) else "<="
    state = min((trend.state for trend in trends), key=_WORST.index)
    style = {State.STALLED: "red", State.REWOUND: "red", State.STANDING: "yellow"}.get(state)
    return (
        f"{about}{whole.records:,}",
        "?" if whole.seconds is None else duration(whole.seconds),
        f"[red]{whole.lost:,}[/]" if whole.lost else "0",
        f"{read:,.1f}",
        f"{written:,.1f}",
        duration(drain_s(whole.records, read, written)),
        f"[{style}]{state}[/]" if style else str(state),
        lags[0].kept_in,
    )


def duration(seconds: float) -> str:
    """Seconds for a person: `1.5 s`, `3 min`, `2.0 h`, `never`."""
    if math.isinf(seconds):
        return "never"
    for limit, divisor, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.1f} {unit}"
    return f"{seconds / 86_400:.1f} d"


def _watch(looks: Looks, partitions: bool) -> None:
    try:
        with Live(console=Console(), auto_refresh=False) as live:
            while True:
                live.update(table(looks.again(), partitions), refresh=True)
    except KeyboardInterrupt:
        return


def _print_json(seen: Sequence[Seen]) -> None:
    for lag, trend in seen:
        members: dict[str, Any] = {**asdict(lag), **asdict(trend)}
        if math.isinf(trend.drain_s):
            members["drain_s"] = None
        click.echo(json.dumps(members))
    sys.stdout.flush()


def _chosen(reading: LagReading, ours: Sequence[Reader], groups: Sequence[str]) -> list[Reader]:
    known = {reader.group: reader for reader in ours}
    if not groups:
        return list(ours)
    return [known.get(group) or reading.foreign(group) for group in groups]


def _latest(seen: Sequence[Seen]) -> float:
    """The age of the oldest unread record of all; what could not be read counts as late."""
    return max((math.inf if lag.seconds is None else lag.seconds for lag, _ in seen), default=0.0)
