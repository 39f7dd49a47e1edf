"""`tierflow bench WHAT|all`: how fast it is on this machine, beside peers where they run."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import click

from ops.bench import machine
from ops.stack.errors import StackError
from ops.stack.progress import Progress

Report = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line."""

    records: int | None
    profile: bool
    quix: bool
    say: Progress


Run = Callable[[Wanted], Coroutine[Any, Any, Report]]


async def _stage(wanted: Wanted) -> Report:
    from ops.bench.stage import report

    return await report.run(wanted.records or 300_000, wanted.quix, wanted.say)


async def _jobs(wanted: Wanted) -> Report:
    from ops.bench import jobs

    return await jobs.run(wanted.records or 20_000, wanted.profile, wanted.say)


async def _latency(wanted: Wanted) -> Report:
    from ops.bench import latency

    return await latency.run(wanted.records or 300, wanted.say)


async def _shapes(wanted: Wanted) -> Report:
    from ops.bench import shapes

    return await shapes.run(wanted.records or 20_000, wanted.say)


async def _memory(wanted: Wanted) -> Report:
    from ops.bench import memory

    return await memory.run(wanted.records or 10_000, wanted.say)


async def _backlog(wanted: Wanted) -> Report:
    from ops.bench import backlog

    return await backlog.run(wanted.records or 100_000, wanted.say)


async def _parked(wanted: Wanted) -> Report:
    from ops.bench import parked

    return await parked.run(wanted.records or 100_000, wanted.say)


async def _bullmq(wanted: Wanted) -> Report:
    from ops.bench import bullmq

    return await bullmq.run(wanted.records or 20_000, wanted.say)


async def _recovery(wanted: Wanted) -> Report:
    from ops.bench import recovery

    return await recovery.run(wanted.records or 100_000, wanted.say)


async def _plans(wanted: Wanted) -> Report:
    from ops.bench import plans

    return await plans.run(wanted.records or 1_000_000, wanted.say)


RUNS: dict[str, Run] = {
    "stage": _stage, "jobs": _jobs, "latency": _latency, "shapes": _shapes, "memory": _memory,
    "backlog": _backlog, "parked": _parked, "bullmq": _bullmq, "recovery": _recovery, "plans": _plans,
}  # fmt: skip
BESIDE = "bullmq"
"""It needs node, so it is not part of `all`."""


@click.command("bench")
@click.argument("what", type=click.Choice([*RUNS, "all"]), default="all")
@click.option("--records", type=click.IntRange(10), help="How many records, jobs or requests.")
@click.option("--profile/--no-profile", default=True, help="Sample where router and worker spend their time.")
@click.option("--quix/--no-quix", default=True, help="Compare with Quix Streams (installed the first time).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
def command(what: str, records: int | None, profile: bool, quix: bool, as_json: bool) -> None:
    """Measure throughput and latency: of one stream stage, of jobs end to end, of an idle stack.

    shapes: jobs with rows, jobs of 10 ms, one partition. memory: a worker with jobs in flight. backlog: long
    queues, and urgent jobs behind them. parked: jobs that wait. bullmq: three shapes beside BullMQ
    (needs node). recovery: replay and rebuild. plans: the listed queries on generated jobs.

    Starts its own servers in a temporary folder; with KAFKA_BOOTSTRAP_SERVERS set that Kafka is used.
    """
    wanted = Wanted(records, profile, quix, Progress())
    names = [name for name in RUNS if name != BESIDE] if what == "all" else [what]
    found: Report = {"machine": machine.describe()}
    try:
        for name in names:
            found[name] = asyncio.run(RUNS[name](wanted))
            if not as_json:
                click.echo("\n".join(found[name]["lines"]) + "\n")
    except (StackError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(", ".join(f"{name} {value}" for name, value in found["machine"].items()), err=True)
