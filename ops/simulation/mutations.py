"""Every bug that is planted into the real core, and the schedules that have to find it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ops.simulation import schedule
from ops.simulation.bugs import (
    attempts,
    cancels,
    computing,
    gates,
    leases,
    limiter,
    order,
    orders,
    parked,
    written,
)
from ops.simulation.bugs.wrong import Mutation
from ops.simulation.limits import schedule as limits
from ops.simulation.violation import Violation

_MACHINE = (attempts, order, parked, written, gates, computing, cancels, orders, leases)
MUTATIONS: dict[str, Mutation] = {
    name: bug for subject in (*_MACHINE, limiter) for name, bug in subject.BUGS.items()
}
Run = Callable[[int], Violation | None]
"""What the schedule of a seed comes to."""


def schedules_for(name: str) -> Run:
    """The schedules in which a bug is looked for: those of the machine, or of a provider's limit alone."""
    return _limit_alone if name in limiter.BUGS else _machine


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The core with this bug, until the block ends."""
    where, attribute, wrong = MUTATIONS[name]
    right = vars(where)[attribute]
    setattr(where, attribute, wrong(right))
    try:
        yield
    finally:
        setattr(where, attribute, right)


def _machine(seed: int) -> Violation | None:
    return schedule.drawn(seed)[1]


def _limit_alone(seed: int) -> Violation | None:
    return limits.drawn(seed)[1]
