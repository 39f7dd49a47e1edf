"""A provider's limit under faults, alone: the schedules keep every promise."""

from ops.simulation.hunt import hunt_limits
from ops.simulation.limits.schedule import drawn


def test_no_schedule_breaks_a_promise() -> None:
    assert [(seed, str(violation)) for seed, violation in hunt_limits(400, seed=0)] == []


def test_a_seed_is_always_the_same_schedule() -> None:
    assert [drawn(seed)[0] for seed in range(20)] == [drawn(seed)[0] for seed in range(20)]
