"""`tierflow report`: a page of plots, for who has no Grafana."""

import re
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from ops.report.history import Stretch
from ops.report.page import page
from ops.report.reading import read
from ops.stack.running import settings_of_running

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Duration(click.ParamType):
    """`90s`, `30m`, `2h`, `7d`."""

    name = "duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds."""
        found = re.fullmatch(r"(\d+)([smhd])", str(value))
        if found is None or not int(found[1]):
            self.fail(f"{value!r} is no duration like 90s, 30m, 2h, 7d", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


@click.command("report")
@click.option(
    "--since", "since_s", type=Duration(), default="1h", show_default=True, help="Look so far back."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("tierflow-report.html"),
    show_default=True,
    help="The file to write.",
)
def command(since_s: int, output: Path) -> None:
    """Write one HTML file with throughput, lag, latency, failures and queues, read from the topics."""
    now = time.time_ns() // 1_000_000
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)
        found = read(
            settings_of_running(),
            Stretch(now - since_s * 1000, now),
            lambda done, whole: bar.update(task, completed=done, total=whole),
        )
    output.write_text(page(found))
    click.echo(output)
