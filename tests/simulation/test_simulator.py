"""The short form of `make simulate`: the core keeps its promises, and planted bugs are found."""

import pytest

from ops.simulation.hunt import first_found, hunt
from ops.simulation.mutations import MUTATIONS, planted, schedules_for
from ops.simulation.schedule import drawn, replayed
from ops.simulation.shrink import shrunk, told

ENOUGH = 5_000


def test_no_schedule_breaks_a_promise() -> None:
    result = hunt(1_500, seed=0)
    assert [(found.schedule.seed, str(found.violation)) for found in result.found] == []


@pytest.mark.parametrize("bug", MUTATIONS)
def test_a_planted_bug_is_found(bug: str) -> None:
    with planted(bug):
        assert first_found(schedules_for(bug), ENOUGH, seed=0) is not None


def test_the_core_is_itself_again_after_a_planted_bug() -> None:
    bug = "a retry goes to the back of its key"
    with planted(bug):
        found = first_found(schedules_for(bug), ENOUGH, seed=0)
    assert found is not None
    assert drawn(found[0])[1] is None


def test_a_seed_is_always_the_same_schedule() -> None:
    assert [drawn(seed)[0] for seed in range(50)] == [drawn(seed)[0] for seed in range(50)]


def test_a_failing_schedule_replays_exactly_and_is_shortened() -> None:
    bug = "a retry is forgotten at a take-over"
    with planted(bug):
        found = first_found(schedules_for(bug), ENOUGH, seed=0)
        assert found is not None
        schedule, violation = drawn(found[0])
        assert violation is not None
        assert str(replayed(schedule)) == str(violation)
        short = shrunk(schedule, violation.rule)
        again = replayed(short)
        assert again is not None
        assert again.rule == violation.rule
        assert len(short.actions) < len(schedule.actions)
        assert "VIOLATION " + violation.rule in told(short)
