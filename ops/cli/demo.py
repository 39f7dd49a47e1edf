"""`tierflow demo`: real data through the whole system, and everything that comes out is checked."""

import asyncio
import json
import os
from pathlib import Path

import click
import httpx
from rich.console import Console

from ops.demo.gateway import DemoError
from ops.demo.run import demo
from ops.demo.show import Bars, Outcome, print_outcome
from ops.demo.surroundings import surroundings
from ops.stack.errors import StackError
from ops.stack.folder import DataFolder, data_folder
from ops.stack.progress import Progress


@click.command("demo")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
@click.option("--keep", is_flag=True, help="Leave the stack running; the next demo uses it.")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder (default: .tierflow/demo).")
def command(as_json: bool, keep: bool, data: Path | None) -> None:
    """Feed public data through the whole system, kill two workers, and check what comes out.

    Uses a stack of its own, whose payment and mail providers are local. Exit status 0: everything is as
    expected, 1: not, with the reason.
    """
    root = data or data_folder(None, os.environ, Path.cwd()).root / "demo"
    folder = DataFolder(root.absolute() / "stack")
    console = Console(stderr=True)
    try:
        outcome = asyncio.run(_run(folder, console, keep=keep, bars=not as_json))
    except (DemoError, StackError, httpx.HTTPError) as error:
        raise click.ClickException(str(error) or type(error).__name__) from error
    if as_json:
        click.echo(json.dumps(outcome.as_json(), indent=2))
    else:
        print_outcome(console, outcome)
    if not outcome.ok:
        failed = "; ".join(f"{check.name}: {check.found}" for check in outcome.checks if not check.ok)
        raise click.ClickException(failed)


async def _run(folder: DataFolder, console: Console, *, keep: bool, bars: bool) -> Outcome:
    async with surroundings(folder, Progress(), keep=keep) as around:
        with Bars(console, wanted=bars) as shown:
            return await demo(around, shown)
