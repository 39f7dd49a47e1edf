"""One run: load and faults at the same time, then quiet, then the count.

`python -m tests.chaos.run --seed 7 --jobs 10000 --faults 25 --span 120 --brokers 1 --runs 4`: four in a row.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.chaos.faults import ROLES, plan
from tests.chaos.load import Load, Sent
from tests.chaos.strike import Strikes
from tests.chaos.surroundings import Surroundings, surroundings, wait_until_ready
from tests.chaos.verdict import Ends, Follower, Verdict, judge

# All is to be empty so long after the last fault; what is open then and goes on is late, not stuck.
DRAIN_S = 60.0
# What has not moved for so long does not move; but no run drains for longer than the limit.
STILL_S, DRAIN_LIMIT_S = 45.0, 420.0
ROWS_S = 30.0


@dataclass(frozen=True)
class Case:
    """What to run."""

    seed: int
    jobs: int
    faults: int
    span_s: float
    brokers: int = 1
    wide: bool = False


@dataclass
class Report:
    """What came of it. `stuck` jobs ended only after a restart of all roles, `lost` ones not even then.

    `late` is how many were open a minute after the last fault, `load` the machine's average of a minute then.
    """

    case: Case
    accepted: int
    unknown: int
    retried: int
    refused: list[str]
    verdict: Verdict
    stuck: list[str]
    late: int
    drained_s: float
    load: float
    faults: dict[str, int]
    log: list[str] = field(repr=False, default_factory=list)
    missed: list[str] = field(default_factory=list)
    sick: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Every promise of ours held."""
        return self.verdict.holds and not (self.stuck or self.refused or self.sick)

    def line(self) -> str:
        """The run in one line."""
        found = "held" if self.holds else f"BROKEN {self.verdict.broken()} stuck {self.stuck[:5]} {self.sick}"
        return (
            f"seed {self.case.seed}, {self.case.brokers} broker(s): {self.accepted} accepted, "
            f"{sum(self.faults.values())} faults, empty after {self.drained_s:.0f} s "
            f"({self.late} late, load {self.load:.0f}): {found}; "
            f"naive sink {self.verdict.naive_sink}, naive worker {self.verdict.naive_worker} wrong"
        )


def run(case: Case, folder: Path) -> Report:
    """Start everything, do it, count. Blocks for the span and some minutes at most."""
    with surroundings(folder, case.brokers, wide=case.wide) as around:
        gateway = around.roles.state.gateway_url
        assert gateway is not None
        load = Load(around.kafka, gateway, case.seed, case.jobs, case.span_s)
        strikes = Strikes(around)
        faults = plan(case.seed, case.faults, case.span_s, case.brokers, wide=case.wide)
        striking = threading.Thread(target=strikes.run, args=(faults,))
        striking.start()
        load.run()
        striking.join()
        began, loaded = time.monotonic(), os.getloadavg()[0]
        follower = Follower(around)
        late = _drained(follower, load.sent)
        drained_s = time.monotonic() - began
        ends = follower.ends
        stuck = [f"{job_id}: {ends.last.get(job_id, 'unseen')}" for job_id in _open(load.sent, ends)]
        if stuck:
            _restart_all(around)
            _drained(follower, load.sent)
        sick = wait_until_ready(around, 60.0)
        verdict = _settled(lambda: judge(around, load.sent, ends))
        sent = load.sent
        return Report(
            case, len(sent.accepted), sent.unknown, len(sent.repeated), sent.refused[:5], verdict, stuck,
            late, drained_s, loaded, strikes.counts, strikes.done, strikes.missed, sick,
        )  # fmt: skip


def _drained(follower: Follower, sent: Sent) -> int:
    """Wait until all has ended or nothing moves any more; how many were open after the first minute."""
    began = moved = time.monotonic()
    left, late = -1, 0
    while True:
        follower.read()
        now, before, left = time.monotonic(), left, len(_open(sent, follower.ends))
        if now - began <= DRAIN_S:
            late = left
        if left != before:
            moved = now
        if not left or now - moved > STILL_S or now - began > DRAIN_LIMIT_S:
            return late
        time.sleep(0.5)


def _open(sent: Sent, ends: Ends) -> list[str]:
    return [job_id for job_id in sent.accepted if not ends.ended[job_id]]


def _settled(count: Callable[[], Verdict]) -> Verdict:
    """The sink may lag a moment behind the topics; what is wrong after that is wrong."""
    deadline = time.monotonic() + ROWS_S
    while True:
        found = count()
        # The naive peers, too, may need a moment until what they did wrong can be seen.
        shown = found.naive_sink > 0 and found.naive_worker > 0
        if (found.holds and shown) or time.monotonic() > deadline:
            return found
        time.sleep(1.0)


def _restart_all(around: Surroundings) -> None:
    for role in ROLES:
        pid = around.pid(role)
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
    time.sleep(5.0)
    wait_until_ready(around, 60.0)


def main() -> None:
    """Run and print; exit status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (
        ("--seed", 1),
        ("--jobs", 10_000),
        ("--faults", 25),
        ("--brokers", 1),
        ("--runs", 1),
    ):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--span", type=float, default=120.0)
    parser.add_argument("--wide", action="store_true", help="full disks, cut links to the brokers, and more")
    parser.add_argument("--json", type=Path, help="append a line for each run to this file")
    asked = parser.parse_args()
    reports = []
    for seed in range(asked.seed, asked.seed + asked.runs):
        case = Case(seed, asked.jobs, asked.faults, asked.span, asked.brokers, asked.wide)
        # Left behind when the run raises or a promise broke: its logs and topics say why.
        folder = Path(tempfile.mkdtemp(prefix=f"tierflow-chaos-{seed}-"))
        report = run(case, folder)
        if report.holds:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"its logs stay in {folder}")
        reports.append(report)
        for line in (*report.log, report.line()):
            print(line, flush=True)
        if asked.json:
            with asked.json.open("a") as file:
                file.write(json.dumps(asdict(report)) + "\n")
    print(summary(reports))
    sys.exit(not all(report.holds for report in reports))


def summary(reports: list[Report]) -> str:
    """A table: each fault, how often, and in how many runs with it something was broken."""
    total: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    for report in reports:
        total.update(report.faults)
        if not report.holds:
            broken.update(report.faults.keys())
    lines = [f"| {name} | {count} | {broken[name]} |" for name, count in sorted(total.items())]
    head = f"{len(reports)} runs, {sum(r.accepted for r in reports)} accepted, {total.total()} faults"
    return "\n".join((head, "| fault | times | runs broken |", "| --- | --- | --- |", *lines))


if __name__ == "__main__":
    main()
