"""`tierflow up`, `down`, `status`, `reset`: the local stack."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from ops.stack.detached import start_detached, stop_running
from ops.stack.errors import StackError
from ops.stack.folder import DataFolder, data_folder
from ops.stack.local_stack import Wish
from ops.stack.progress import Progress
from ops.stack.run import run
from ops.stack.state import StackState
from ops.stack.status import described, is_healthy, report, stopped

NOT_HEALTHY, NOT_RUNNING = 1, 2


class Folder(click.ParamType):
    """A data folder; without one TIERFLOW_DATA, else `.tierflow` in the project."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> DataFolder:
        """Return the folder that a path names."""
        return value if isinstance(value, DataFolder) else data_folder(value, os.environ, Path.cwd())


data_option = click.option(
    "--data",
    "folder",
    type=Folder(),
    default=lambda: data_folder(None, os.environ, Path.cwd()),
    help="Data folder (default: TIERFLOW_DATA, else .tierflow in the project).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


@click.command()
@data_option
@json_option
@click.option("--detach", is_flag=True, help="Return when all is ready and leave it running.")
@click.option(
    "--port",
    envvar="TIERFLOW_PORT",
    type=click.IntRange(0, 65535),
    help="The gateway's port (default 3020; 0: any).",
)
@click.option("--brokers", type=click.Choice(["1", "3"]), help="Kafka nodes (default 1).")
@click.option(
    "--partitions",
    envvar="TIERFLOW_PARTITIONS",
    type=click.IntRange(1, 1000),
    help="Partitions of each keyed topic (default 4).",
)
@click.option("--quiet", is_flag=True, hidden=True, help="Print no addresses at the end.")
@click.option("--infrastructure", is_flag=True, help="Only Kafka, PostgreSQL and Valkey.")
def up(
    folder: DataFolder,
    as_json: bool,
    detach: bool,
    port: int | None,
    brokers: str | None,
    partitions: int | None,
    quiet: bool,
    infrastructure: bool,
) -> None:
    """Start Kafka, PostgreSQL, Valkey and all roles on this machine. Ctrl-C stops them."""
    wish = Wish(folder, port, int(brokers) if brokers else None, partitions, infrastructure)
    try:
        if detach:
            _ready(start_detached(_arguments(wish), folder, os.environ), as_json)
        elif not run(wish, os.environ, Progress(), lambda state: None if quiet else _ready(state, as_json)):
            raise SystemExit(130)
    except StackError as error:
        raise click.ClickException(str(error)) from error


@click.command()
@data_option
def down(folder: DataFolder) -> None:
    """Stop the stack that runs on the data folder; nothing is left running."""
    try:
        ran = stop_running(folder, Progress())
    except StackError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"stopped: {folder.root}" if ran else f"nothing runs on {folder.root}", err=True)


@click.command()
@data_option
@json_option
def status(folder: DataFolder, as_json: bool) -> None:
    """Show each part with its pid, address and health. Exit status 0: healthy, 1: not, 2: not running."""
    found = report(folder)
    if as_json:
        click.echo(json.dumps(found or stopped(folder), indent=2))
    elif found is None:
        click.echo(f"nothing runs on {folder.root}; `tierflow up` starts it", err=True)
    else:
        _print_table(found)
    if found is None:
        raise SystemExit(NOT_RUNNING)
    raise SystemExit(0 if is_healthy(found) else NOT_HEALTHY)


@click.command()
@data_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(folder: DataFolder, yes: bool) -> None:
    """Stop the stack and throw its data away: all topics, tables, keys and logs of the data folder."""
    if not folder.shape.exists():
        click.echo(f"{folder.root} holds no stack", err=True)
        return
    if not yes:
        click.confirm(f"Throw away all data in {folder.root}?", abort=True)
    try:
        stop_running(folder, Progress())
    except StackError as error:
        raise click.ClickException(str(error)) from error
    for path in folder.contents():
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    click.echo(f"{folder.root} is empty", err=True)


COMMANDS = (up, down, status, reset)


def _arguments(wish: Wish) -> list[str]:
    """Return the command line of a wish."""
    named = {
        "--data": wish.folder.root,
        "--port": wish.port,
        "--brokers": wish.brokers,
        "--partitions": wish.partitions,
    }
    words = [word for name, value in named.items() if value is not None for word in (name, str(value))]
    return [*words, "--infrastructure"] if wish.infrastructure else words


def _ready(state: StackState, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(described(state), indent=2))
        sys.stdout.flush()
        return
    urls = {
        "gateway": state.gateway_url,
        "kafka": state.kafka_bootstrap,
        "postgres": state.database_url,
        "redis": state.redis_url,
        "data": state.data,
    }
    for name, url in urls.items():
        if url:
            click.echo(f"{name:9} {url}", err=True)


def _print_table(found: dict[str, Any]) -> None:
    for part in found["parts"]:
        pid = part["pid"] or "-"
        restarts = f"  restarted {part['restarts']} times" if part["restarts"] else ""
        reason = f": {part['reason']}" if part["reason"] else ""
        click.echo(f"{part['name']:10} {pid:>8}  {part['address']:28} {part['health']}{reason}{restarts}")
    for name in ("gateway_url", "kafka_bootstrap", "database_url", "redis_url", "data"):
        click.echo(f"{name:16} {found[name] or '-'}")


commands = click.Group("stack", commands=list(COMMANDS), help="The local stack.")

if __name__ == "__main__":
    commands()
