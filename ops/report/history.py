"""What happened in a stretch of time, counted from the records of jobs and of their changes; pure."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.records import Job, Lifecycle, Transition
from schemas.states import TERMINAL, State

STEPS = 120
"""Points of a plot."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` to `end` (ms since the epoch), in equal steps."""

    start: int
    end: int
    steps: int = STEPS

    @property
    def step_s(self) -> float:
        """Seconds of a step."""
        return (self.end - self.start) / self.steps / 1000

    def step(self, at: int) -> int | None:
        """The step of a time; None outside."""
        if not self.start <= at < self.end:
            return None
        return (at - self.start) * self.steps // (self.end - self.start)

    def times(self) -> list[int]:
        """Where each step begins."""
        return [self.start + (self.end - self.start) * step // self.steps for step in range(self.steps)]


Steps = dict[int, int]


@dataclass(slots=True)
class History:
    """Counts by step. Feed it every record of the stretch, jobs and transitions in any order."""

    stretch: Stretch
    accepted: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    ended: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    states: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    waits_s: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    runs_s: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    _running: dict[tuple[str, int], int] = field(default_factory=dict)

    def job(self, job: Job) -> None:
        """A job came into its tier; a series of it that was asked for later counts as another."""
        step = self.stretch.step(job.accepted_at)
        if step is not None:
            self.accepted[job.queue][step] += 1

    def lifecycle(self, record: Lifecycle) -> None:
        """A job changed its state."""
        for transition in record.transitions:
            self._transition(record, transition)

    def _transition(self, record: Lifecycle, transition: Transition) -> None:
        step, key = self.stretch.step(transition.at), (record.job_id, record.series)
        if transition.to_state == State.ACTIVE:
            self._running[key] = transition.at
            if step is not None and transition.attempt == 1 and transition.from_state == State.WAITING:
                self.waits_s[step].append(max(0, transition.at - record.accepted_at) / 1000)
            return
        began = self._running.pop(key, None)
        if step is None:
            return
        if began is not None:
            self.runs_s[step].append(max(0, transition.at - began) / 1000)
        if transition.to_state in TERMINAL or transition.to_state == State.FAILED:
            self.states[transition.to_state][step] += 1
        if transition.to_state in TERMINAL:
            self.ended[record.queue][step] += 1
        if transition.error is not None and transition.to_state in (State.FAILED, State.DEAD):
            self.errors[record.type, transition.error.error_class] += 1

    def rate(self, counts: Counter[int]) -> list[float]:
        """A second, step by step."""
        return [counts[step] / self.stretch.step_s for step in range(self.stretch.steps)]

    def open_jobs(self, queue: str, now: int) -> list[float]:
        """Jobs accepted and not ended, step by step, counted back from how many there are now."""
        found, left = [], now
        for step in reversed(range(self.stretch.steps)):
            found.append(float(max(0, left)))
            left += self.ended[queue][step] - self.accepted[queue][step]
        return found[::-1]

    def quantile(self, values: dict[int, list[float]], share: float) -> list[float | None]:
        """A percentile, step by step; None where nothing was measured."""
        return [
            quantile(values[step], share) if step in values else None for step in range(self.stretch.steps)
        ]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -int(-share * len(ranked) // 1) - 1))]
