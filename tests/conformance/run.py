"""One conformance run: fill, start three workers, do the faults, wait for the end, prove.

`python -m tests.conformance.run BOOTSTRAP FOLDER SCENARIO SEED [key=value ...]` prints the report as JSON.
"""

import json
import random
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.faults import Planned, plan
from tests.conformance.load import Load, Progress
from tests.conformance.processes import Workers
from tests.conformance.proof import Proof, prove

ENGINE, PLAIN_FAUST = "tests.conformance.worker", "tests.conformance.plain_faust"
PAUSE_S = {"inline": 0.0004, "async": 0.04, "plain": 0.0}
SIGNS = (
    "transaction aborted",
    "dropping all state",
    "LOSS",
    "went back",
    "Traceback",
    "] lost ",
    "ending the process",
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One cell of the matrix. `span_s` is about how long the work takes without faults."""

    scenario: str
    seed: int
    protocol: str = "consumer"
    mode: str = "inline"
    store: str = "memory"
    partitions: int = 4
    sources: int = 1
    records: int = 60_000
    span_s: float = 24.0
    limit_s: float = 200.0
    module: str = ENGINE


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run showed."""

    case: Case
    proof: Proof
    finished: bool
    seconds: float
    longest_pause_s: float
    """The longest time in which the group as a whole committed nothing."""
    exits: list[str]
    hung: list[str]
    signs: dict[str, int]
    events: list[str] = field(default_factory=list)


class Run:
    """Drives the faults of one case by the clock."""

    def __init__(self, case: Case, load: Load, folder: Path, kill_broker: Callable[[], str] | None) -> None:
        self._case, self._load, self._kill_broker = case, load, kill_broker
        self._dice = random.Random(f"{case.scenario} {case.seed} dice")
        self._group = f"{load.run}-group"
        settings = {
            **{
                "bootstrap": load.bootstrap,
                "protocol": case.protocol,
                "group": self._group,
                "seed": case.seed,
            },
            **{"sources": load.source_topics, "outputs": load.output_topics, "changelog": load.changelog},
            **{"partitions": case.partitions, "store": case.store, "mode": case.mode},
            "pause_s": PAUSE_S[case.mode],
        }
        self.workers = Workers(case.module, settings, folder)
        self.events: list[str] = []
        self.longest_pause_s = 0.0
        self._restarts: list[tuple[float, str]] = []
        self._thaws: list[tuple[float, str]] = []
        self._born = 0

    def go(self) -> bool:
        """Run to the end; False when the time limit came first."""
        self._begun = moved = time.monotonic()
        progress, best = Progress(self._load, self._group), -1
        todo = plan(self._case.scenario, self._case.seed, self._case.span_s)
        for name in "ABC":
            self._restarts.append((self._dice.uniform(0, 1.5), name))
        try:
            while self._now() < self._case.limit_s:
                while todo and todo[0].at_s <= self._now():
                    self._do(todo.pop(0))
                self._supervise()
                committed = progress.committed()
                if committed is not None and committed > best:
                    if best >= 0:
                        self.longest_pause_s = max(self.longest_pause_s, time.monotonic() - moved)
                    best, moved = committed, time.monotonic()
                if best >= self._load.total and not (todo or self._restarts or self._thaws):
                    return True
                time.sleep(0.2)
            self.events.append(f"not finished: {best} of {self._load.total}")
            return False
        finally:
            progress.close()

    def _now(self) -> float:
        return time.monotonic() - self._begun

    def _do(self, planned: Planned) -> None:
        now, targets = self._now(), self.workers.targets()
        if planned.fault == "broker":
            assert self._kill_broker is not None, "this scenario needs a cluster of its own"
            self.events.append(f"{now:.0f} s: killed {self._kill_broker()}")
            return
        if not targets:
            return
        name = self._dice.choice(targets)
        self.events.append(f"{now:.0f} s: {planned.fault} {name}")
        if planned.fault == "kill":
            self.workers.kill(name)
            self._born += 1
            again = name if self._dice.random() < 0.5 else f"{name[0]}{self._born}"
            self._restarts.append((now + self._dice.uniform(0.3, 3), again))
        elif planned.fault == "stop":
            self.workers.freeze(name)
            self._thaws.append((now + self._dice.uniform(*self._freeze_span()), name))
        else:
            self.workers.terminate(name)

    def _freeze_span(self) -> tuple[float, float]:
        """Longer than the session (6 s); in the long form also longer than transaction and abort (11 s)."""
        return (15, 20) if self._case.span_s > 15 else (8, 11)

    def _supervise(self) -> None:
        now = self._now()
        for due in [entry for entry in self._thaws if entry[0] <= now]:
            self._thaws.remove(due)
            self.workers.thaw(due[1])
        for name in self.workers.ended():
            self._restarts.append((now + self._dice.uniform(0.3, 2), name))
        for due in [entry for entry in self._restarts if entry[0] <= now]:
            self._restarts.remove(due)
            self.workers.start(due[1])


def run(
    case: Case,
    bootstrap: str,
    folder: Path,
    kill_broker: Callable[[], str] | None = None,
    replication: int = 1,
) -> Report:
    """Run the case on topics of its own."""
    name = f"{case.scenario}-{case.seed}-{uuid.uuid4().hex[:8]}"
    folder = folder / name
    folder.mkdir(parents=True)
    load = Load(
        bootstrap, name, case.sources, case.partitions, case.records // case.sources, replication=replication
    )
    load.create()
    begun = time.monotonic()
    running = Run(case, load, folder, kill_broker)
    with ThreadPoolExecutor(1) as filler:
        filled = filler.submit(load.fill, case.span_s)
        try:
            finished = running.go()
        finally:
            hung = running.workers.finish()
        filled.result()
    return Report(
        case=case,
        proof=prove(load),
        finished=finished,
        seconds=round(time.monotonic() - begun, 1),
        longest_pause_s=round(running.longest_pause_s, 1),
        exits=running.workers.exits,
        hung=hung,
        signs=running.workers.log_lines(*SIGNS),
        events=running.events,
    )


def main() -> None:
    """Run one case from the command line."""
    bootstrap, folder, scenario, seed, *options = sys.argv[1:]
    values: dict[str, Any] = {"scenario": scenario, "seed": int(seed)}
    for option in options:
        name, value = option.split("=")
        kind = type(getattr(Case, name))
        values[name] = kind(value)
    print(json.dumps(asdict(run(Case(**values), bootstrap, Path(folder)))), flush=True)


if __name__ == "__main__":
    main()
