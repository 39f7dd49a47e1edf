"""Many schedules: do they all keep the promises, and is every planted bug found?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import process_time

from ops.simulation.limits import schedule as limits
from ops.simulation.mutations import MUTATIONS, Run, planted, schedules_for
from ops.simulation.schedule import Schedule, drawn
from ops.simulation.violation import Violation


@dataclass(frozen=True, slots=True)
class Found:
    """A schedule that breaks a promise."""

    schedule: Schedule
    violation: Violation


@dataclass(frozen=True, slots=True)
class Hunt:
    """What a hunt came to; `cpu_s` is the time of the one core that it used."""

    schedules: int
    actions: int
    cpu_s: float
    found: list[Found]

    @property
    def per_minute(self) -> float:
        """Schedules that one core runs in a minute."""
        return self.schedules / self.cpu_s * 60 if self.cpu_s else 0.0


@dataclass(frozen=True, slots=True)
class Caught:
    """How many schedules it took to find a planted bug, and by which rule; None: not found."""

    mutation: str
    schedules: int | None
    rule: str | None


def hunt(schedules: int, seed: int, on_progress: Callable[[int], None] | None = None) -> Hunt:
    """Run this many schedules from this seed on; goes on after a violation."""
    begun, actions, found = process_time(), 0, []
    for at in range(schedules):
        schedule, violation = drawn(seed + at)
        actions += len(schedule.actions)
        if violation is not None:
            found.append(Found(schedule, violation))
        if on_progress is not None:
            on_progress(at + 1)
    return Hunt(schedules, actions, process_time() - begun, found)


def hunt_limits(schedules: int, seed: int) -> list[tuple[int, Violation]]:
    """The seeds of schedules of a provider's limit alone that break a promise."""
    drawn_alone = ((at, limits.drawn(at)[1]) for at in range(seed, seed + schedules))
    return [(at, violation) for at, violation in drawn_alone if violation is not None]


def first_found(run: Run, schedules: int, seed: int) -> tuple[int, Violation] | None:
    """The first seed whose schedule breaks a promise."""
    for at in range(seed, seed + schedules):
        violation = run(at)
        if violation is not None:
            return at, violation
    return None


def mutations(schedules: int, seed: int) -> Iterator[Caught]:
    """Plant each bug in turn and look for it in at most this many schedules."""
    for name in MUTATIONS:
        with planted(name):
            found = first_found(schedules_for(name), schedules, seed)
        if found is None:
            yield Caught(name, None, None)
        else:
            yield Caught(name, found[0] - seed + 1, found[1].rule)
