"""What the demo shows: a bar per tier while it runs, the tables at the end."""

from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ops.demo.checks import Check
from ops.demo.ledger import TierLine
from ops.demo.observer import Observer
from schemas.tiers import POLICIES, Tier


@dataclass(frozen=True)
class Outcome:
    """Everything that a demo found."""

    run: str
    seconds: float
    tiers: list[TierLine]
    checks: list[Check]
    killed: dict[str, int]
    gateway_url: str | None

    @property
    def ok(self) -> bool:
        """Whether every expectation held."""
        return all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        return {"ok": self.ok, **asdict(self)}


class Bars:
    """A bar per tier: ended jobs of accepted ones. A context manager; silent when not wanted."""

    def __init__(self, console: Console, *, wanted: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, disable=not wanted, refresh_per_second=5)
        self._tasks = {
            tier.value: self._progress.add_task(f"tier {tier.value} {POLICIES[tier].name:9}", total=None)
            for tier in Tier
        }

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, accepted: dict[str, int], observer: Observer) -> None:
        """Show how far it is."""
        jobs = observer.jobs
        for tier, task in self._tasks.items():
            ids = [job_id for job_id, of in list(accepted.items()) if of == tier]
            ended = sum(1 for job_id in ids if job_id in jobs and jobs[job_id].ends)
            self._progress.update(task, total=len(ids) or None, completed=ended)

    def say(self, line: str) -> None:
        """A line above the bars."""
        self._progress.console.print(escape(line), highlight=False)


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Both tables and the verdict."""
    console.print(_tiers(outcome.tiers))
    console.print(_checks(outcome.checks))
    failed = [check for check in outcome.checks if not check.ok]
    if failed:
        console.print(f"[red]{len(failed)} of {len(outcome.checks)} expectations failed[/red]")
    else:
        console.print(f"all {len(outcome.checks)} expectations held, in {outcome.seconds:.0f} s")


def _tiers(tiers: list[TierLine]) -> Table:
    table = Table("tier", title="Jobs")
    for name in ("accepted", "completed", "dead", "duplicate", "pending", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right")
    for line in tiers:
        name = f"{line.tier} {POLICIES[Tier(line.tier)].name}"
        counts = (line.accepted, line.completed, line.dead, line.duplicate, line.pending)
        times = ("-" if ms is None else f"{ms:.0f}" for ms in (line.p50_ms, line.p99_ms))
        table.add_row(name, *map(str, counts), *times)
    return table


def _checks(checks: list[Check]) -> Table:
    table = Table("", "expectation", "found", title="Expectations")
    for check in checks:
        mark = "[green]ok[/green]" if check.ok else "[red]FAILED[/red]"
        table.add_row(mark, escape(check.name), escape(check.found))
    return table
