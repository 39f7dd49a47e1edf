"""`tierflow limits`: how the providers' limits stand; stop, resume and reset them."""

from typing import Any

import click

from ops.client import Client, connected, show
from schemas.limits import GROUPS, find_group


@click.group("limits")
def command() -> None:
    """Show the providers' limits; stop all calls, let them go on, end a pause."""


@command.command("list")
@connected
def listed(client: Client, as_json: bool) -> None:
    """List every provider: calls that could start now, calls that run, its circuit."""
    found = {group: client.call("GET", f"/rate-limits/status/{group}")[group] for group in GROUPS}
    head = f"{'provider':12}{'tokens':>8}{'running':>9}{'at most':>9}{'per s':>8}  circuit"
    show(found, as_json, [head, *(_line(group, status) for group, status in found.items())])


@command.command("stop")
@click.argument("service", required=False)
@click.option("--all", "everything", is_flag=True, help="Every provider.")
@connected
def stop(client: Client, as_json: bool, service: str | None, everything: bool) -> None:
    """Start no new call to SERVICE, or with --all to any provider, on any worker; running ones end."""
    _order(client, as_json, "emergency-stop", service, everything)


@command.command("resume")
@click.argument("service", required=False)
@click.option("--all", "everything", is_flag=True, help="Every provider.")
@connected
def resume(client: Client, as_json: bool, service: str | None, everything: bool) -> None:
    """Let calls to SERVICE start again, or with --all to every provider."""
    _order(client, as_json, "resume", service, everything)


@command.command("reset")
@click.argument("service")
@connected
def reset(client: Client, as_json: bool, service: str) -> None:
    """End the pause of SERVICE and close its circuit. Its rate and running calls are not forgotten."""
    answer = client.call("POST", f"/rate-limits/reset/{find_group(service)}")
    show(answer, as_json, [answer["message"]])


def _order(client: Client, as_json: bool, path: str, service: str | None, everything: bool) -> None:
    if (service is None) is not everything:
        raise click.UsageError("name one service, or --all")
    answer = client.call("POST", f"/rate-limits/{path}", service=service and find_group(service))
    show(answer, as_json, [answer["message"]])


def _line(group: str, status: dict[str, Any]) -> str:
    figures = f"{status['tokensAvailable']:>8}{status['concurrent']:>9}{status['maxConcurrent']:>9}"
    state = f"stopped by {status['stoppedBy']}" if status["stopped"] else status["circuit"]
    return f"{group:12}{figures}{status['config']['maxPerSecond']:>8g}  {state}"
