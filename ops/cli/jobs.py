"""`tierflow jobs`: look at jobs, cancel them, try dead ones again."""

import json
from typing import Any

import click

from agents.handlers import registry
from ops.client import Client, connected, show
from ops.job_types import described, in_columns
from schemas.catalogue import JOB_TYPES
from streams.settings import load


@click.group("jobs")
def command() -> None:
    """Show jobs and their types; cancel jobs; try dead ones again."""


@command.command("get")
@click.argument("job_id")
@connected
def get(client: Client, as_json: bool, job_id: str) -> None:
    """Show a job and its timeline."""
    job = client.call("GET", f"/jobs/{job_id}")
    show(job, as_json, [_head(job), *map(_moment, job.get("timeline", []))])


@command.command("list")
@click.argument("queue")
@click.option("--state", default="waiting", show_default=True, help="Jobs in this state.")
@click.option("--start", default=0, show_default=True, help="The first place, the latest job is at 0.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 100), help="How many.")
@connected
def listed(client: Client, as_json: bool, queue: str, state: str, start: int, limit: int) -> None:
    """List the latest jobs of QUEUE in a state."""
    end = start + limit - 1
    jobs = client.call("GET", f"/queues/{queue}/jobs", status=state, start=start, end=min(99, end))
    show(jobs, as_json, [f"{job['id']}  {job['type']:24}{job['createdAt']}" for job in jobs])


@command.command("cancel")
@click.argument("job_ids", nargs=-1, required=True)
@click.option("--reason", help="Why; stands in the job's history.")
@connected
def cancel(client: Client, as_json: bool, job_ids: tuple[str, ...], reason: str | None) -> None:
    """Cancel jobs: at once where they wait; where they run they are asked, and killed after a grace."""
    for job_id in job_ids:
        answer = client.call("DELETE", f"/jobs/{job_id}", reason=reason)
        show(answer, as_json, [f"{job_id}: cancelling (it was {answer['state']})"])


@command.command("retry")
@click.argument("job_ids", nargs=-1, required=True)
@connected
def retry(client: Client, as_json: bool, job_ids: tuple[str, ...]) -> None:
    """Give dead jobs another attempt series, with the data that they had."""
    for job_id in job_ids:
        answer = client.call("POST", f"/jobs/{job_id}/retry")
        show(answer, as_json, [f"{job_id}: series {answer['series']} is queued"])


@command.command("types")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
def types(as_json: bool) -> None:
    """Show every job type that this installation knows, your own (TIERFLOW_HANDLERS) included."""
    handlers = registry.load(load().handlers.packages)
    lines = [described(job_type, handlers.get(job_type.kind)) for job_type in JOB_TYPES.values()]
    show(lines, as_json, [in_columns(line) for line in lines])


def _head(job: dict[str, Any]) -> str:
    reason = f": {job['failedReason']}" if job.get("failedReason") else ""
    return f"{job['id']}  {job['queue']}/{job['type']}  tier {job['tier']}  {job['state']}{reason}"


def _moment(change: dict[str, Any]) -> str:
    said = {name: change[name] for name in ("reason", "progress", "error", "due") if name in change}
    return f"  {change['at']}  {change['state']:10} {json.dumps(said) if said else ''}".rstrip()
