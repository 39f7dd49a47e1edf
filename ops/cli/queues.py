"""`tierflow queues`: how the queues stand; pause, resume and clear them."""

from typing import Any

import click

from ops.client import Client, connected, show

_STATES = ("waiting", "active", "delayed", "completed", "dead", "cancelled")
_type_option = click.option("--type", "job_type", help="Only this job type of the queue.")
_reason_option = click.option("--reason", help="Why; shown beside the order.")


@click.group("queues")
def command() -> None:
    """Show the queues; pause, resume and clear them."""


@command.command("list")
@connected
def listed(client: Client, as_json: bool) -> None:
    """List every queue with its counts; marks what is paused or held."""
    queues = client.call("GET", "/queues")
    head = f"{'queue':24}{'tier':>5}" + "".join(f"{state:>11}" for state in _STATES)
    show(queues, as_json, [head, *map(_line, queues)])


@command.command("pause")
@click.argument("queue")
@_type_option
@_reason_option
@connected
def pause(client: Client, as_json: bool, queue: str, **query: str | None) -> None:
    """Start no more jobs of QUEUE anywhere; running ones end."""
    _order(client, as_json, queue, "pause", query)


@command.command("resume")
@click.argument("queue")
@_type_option
@_reason_option
@connected
def resume(client: Client, as_json: bool, queue: str, **query: str | None) -> None:
    """Start jobs of QUEUE again, or with --type of a type that was held."""
    _order(client, as_json, queue, "resume", query)


@command.command("clear")
@click.argument("queue")
@click.option(
    "--state",
    type=click.Choice(["waiting", "delayed", "completed", "failed"]),
    help="Only this state; without it all of them.",
)
@_type_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def clear(
    client: Client, as_json: bool, queue: str, state: str | None, job_type: str | None, yes: bool
) -> None:
    """Cancel the waiting and delayed jobs of QUEUE; forget the counts of those that ended."""
    if not yes:
        click.confirm(f"Clear {state or 'everything'} of {queue}?", abort=True, err=True)
    name = client.call("GET", f"/queues/{queue}/status")["name"]
    confirm = None if state else name
    answer = client.call(
        "POST", f"/queues/{name}/clear", type=state, jobType=job_type, confirm=confirm
    )  # fmt: skip
    show(answer, as_json, [f"{name}: clearing {', '.join(answer['cleared'])} up to {answer['before']}"])


def _order(client: Client, as_json: bool, queue: str, action: str, query: dict[str, str | None]) -> None:
    answer = client.call(
        "POST", f"/queues/{queue}/{action}", jobType=query["job_type"], reason=query["reason"]
    )
    what = " ".join(filter(None, (answer["queue"], answer.get("jobType"))))
    show(answer, as_json, [f"{what}: {'paused' if answer['paused'] else 'resumed'}"])


def _line(queue: dict[str, Any]) -> str:
    counts = "".join(f"{queue[state]:>11}" for state in _STATES)
    stops = ["paused"] if queue["paused"] else []
    stops += [f"{kind} held" for kind in queue["held"]]
    return f"{queue['name']:24}{queue['tier']:>5}{counts}  {', '.join(stops)}".rstrip()
