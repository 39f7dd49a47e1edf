"""`tierflow simulate`: hunt the core through random faults; replay and shorten what fails."""

import json
import os
import sys

import click

from ops.compiled import overlay
from ops.simulation.hunt import Caught, Found, Hunt, hunt, hunt_limits, mutations
from ops.simulation.schedule import drawn
from ops.simulation.shrink import shrunk, told
from ops.simulation.violation import Violation

# A schedule of a provider's limit alone comes on so many of the machine's.
LIMITS_SHARE = 20


@click.command("simulate")
@click.option("--schedules", default=10_000, show_default=True, help="How many to run.")
@click.option("--seed", default=0, show_default=True, help="The seed of the first one.")
@click.option("--mutations", "plant", is_flag=True, help="Plant known bugs and say how soon each is found.")
@click.option(
    "--trace", is_flag=True, help="Only the schedule of --seed: shortened when it fails, told in full."
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(schedules: int, seed: int, plant: bool, trace: bool, as_json: bool) -> None:
    """Drive the worker's core through crashes, stops, lost commits and rebalances; check every promise.

    The same seed is the same schedule, always. Exit status 1: a promise was broken, or a planted bug missed.
    """
    if trace:
        ok = _trace(seed)
    elif plant:
        _on_the_sources()
        ok = _plant(schedules, seed, as_json)
    else:
        ok = _hunt(schedules, seed, as_json)
    if not ok:
        raise click.exceptions.Exit(1)


def _trace(seed: int) -> bool:
    schedule, violation = drawn(seed)
    click.echo(told(schedule if violation is None else shrunk(schedule, violation.rule)))
    return violation is None


def _hunt(schedules: int, seed: int, as_json: bool) -> bool:
    result, alone = hunt(schedules, seed), hunt_limits(schedules // LIMITS_SHARE, seed)
    click.echo(json.dumps(_as_data(result, alone)) if as_json else _as_text(result, alone))
    return not result.found and not alone


def _as_data(result: Hunt, alone: list[tuple[int, Violation]]) -> dict[str, object]:
    return {
        "compiled": overlay.in_use(), "schedules": result.schedules, "actions": result.actions,
        "cpu_s": round(result.cpu_s, 2), "per_minute": round(result.per_minute),
        "violations": [_violation(found) for found in result.found],
        "limit_violations": [{"seed": at, "rule": v.rule, "seen": str(v)} for at, v in alone],
    }  # fmt: skip


def _violation(found: Found) -> dict[str, object]:
    return {"seed": found.schedule.seed, "rule": found.violation.rule, "seen": str(found.violation)}


def _as_text(result: Hunt, alone: list[tuple[int, Violation]]) -> str:
    lines = [
        f"{result.schedules:,} schedules, {result.actions:,} actions, {result.per_minute:,.0f} schedules a"
        f" minute on one core: {len(result.found)} broke a promise"
    ]
    for found in result.found[:3]:
        lines += ["", told(shrunk(found.schedule, found.violation.rule))]
    lines += [f"seed {found.schedule.seed}: {found.violation}" for found in result.found[3:20]]
    lines += [f"a provider's limit alone, seed {at}: {violation}" for at, violation in alone[:20]]
    return "\n".join(lines)


def _on_the_sources() -> None:
    """Begin again without the compiled modules: no bug can be planted into these."""
    if overlay.in_use():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, overlay.SWITCH: "0"})


def _plant(schedules: int, seed: int, as_json: bool) -> bool:
    caught = []
    for one in mutations(schedules, seed):
        caught.append(one)
        if not as_json:
            click.echo(_row(one))
    if as_json:
        click.echo(
            json.dumps([{"bug": c.mutation, "schedules": c.schedules, "rule": c.rule} for c in caught])
        )
    return all(one.schedules is not None for one in caught)


def _row(one: Caught) -> str:
    needed = "MISSED" if one.schedules is None else f"{one.schedules:,}"
    return f"| {one.mutation} | {needed} | {one.rule or ''} |"
