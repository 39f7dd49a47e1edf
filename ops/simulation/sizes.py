"""How much a worker of a schedule holds and does at a time."""

from dataclasses import replace

from ops.simulation.jobs import COMPUTES, Plan
from streams.core.limits import Limits

# Small, so that every bound is met within a few jobs; the last so wide that none is.
LIMITS = (
    Limits(slots=3, full=4, room=2, key_share=2, loaded=2, page=1, at_gate=1),
    Limits(slots=1, full=2, room=1, key_share=1, loaded=1, page=2, at_gate=2),
    Limits(slots=6, full=100, room=50, key_share=100, loaded=50, page=50, at_gate=50),
)


def with_processes(limits: Limits, plans: list[Plan]) -> Limits:
    """The same, and processes for those that compute: fewer than slots where there is more than one slot."""
    if not any(plan.kind == COMPUTES for plan in plans):
        return limits
    return replace(limits, processes=max(1, limits.slots // 3), in_process=frozenset({COMPUTES}))
