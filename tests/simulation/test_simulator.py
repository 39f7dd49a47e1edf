"""The short form of `make simulate`: the core keeps its promises, and planted bugs are found."""

import pytest

from ops.simulation.hunt import first_found, hunt
from ops.simulation.mutations import MUTATIONS, planted
from ops.simulation.schedule import drawn, replayed
from ops.simulation.shrink import shrunk, told

ENOUGH = 5_000


def test_no_schedule_breaks_a_promise() -> None:
    result = hunt(3_000, seed=0)
    assert [(found.schedule.seed, str(found.violation)) for found in result.found] == []


@pytest.mark.parametrize("bug", MUTATIONS)
def test_a_planted_bug_is_found(bug: str) -> None:
    with planted(bug):
        assert first_found(ENOUGH, seed=0) is not None


def test_the_core_is_itself_again_after_a_planted_bug() -> None:
    with planted("a retry goes to the back of its key"):
        found = first_found(ENOUGH, seed=0)
    assert found is not None
    assert drawn(found[1].schedule.seed)[1] is None


def test_a_seed_is_always_the_same_schedule() -> None:
    assert [drawn(seed)[0] for seed in range(50)] == [drawn(seed)[0] for seed in range(50)]


def test_a_failing_schedule_replays_exactly_and_is_shortened() -> None:
    with planted("a retry is forgotten at a take-over"):
        found = first_found(ENOUGH, seed=0)
        assert found is not None
        schedule, violation = found[1].schedule, found[1].violation
        assert str(replayed(schedule)) == str(violation)
        short = shrunk(schedule, violation.rule)
        again = replayed(short)
        assert again is not None
        assert again.rule == violation.rule
        assert len(short.actions) < len(schedule.actions)
        assert "VIOLATION " + violation.rule in told(short)
