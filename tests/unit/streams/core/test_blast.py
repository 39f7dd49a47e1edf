"""When a type is held: too large a share of enough jobs died within the window, and only then."""

import pytest

from schemas.records import Failure
from streams.core.blast import Deaths, HoldRule
from tests.unit.streams.core.test_machine import World, a_machine, arrive, at, job

RULE = HoldRule(share=0.5, least=4, window_s=60)
REFUSED = Failure("refused", "no", retryable=False)


def held_after(ends: str, every_s: float = 1.0) -> int | None:
    """How many ends it takes; `d` a dead job, `.` another one."""
    deaths = Deaths(RULE)
    for at_end, end in enumerate(ends):
        if deaths.ended("k", dead=end == "d", now_s=100 + at_end * every_s) is not None:
            return at_end + 1
    return None


@pytest.mark.parametrize(
    ("ends", "count"),
    [("dddd", 4), ("ddd", None), (".d.d.d", None), ("..ddd", 5), (".d.d.d.ddd", 9), ("ddd.", None)],
)
def test_more_than_the_share_of_enough_jobs_holds_a_type(ends: str, count: int | None) -> None:
    assert held_after(ends) == count


def test_what_ended_before_the_window_does_not_count() -> None:
    assert held_after("dddd", every_s=30) is None
    assert held_after("." * 100 + "d" * 5, every_s=15) == 103


def test_types_are_counted_apart_and_anew_after_a_hold() -> None:
    deaths = Deaths(RULE)
    for _ in range(3):
        assert deaths.ended("a", dead=True, now_s=1) is None
        assert deaths.ended("b", dead=True, now_s=1) is None
    assert deaths.ended("a", dead=True, now_s=2) == "4 of the 4 jobs that ended within 60 s died"
    assert deaths.ended("a", dead=True, now_s=2) is None


def test_a_type_whose_jobs_die_is_held_until_it_is_opened_by_hand() -> None:
    world = World()
    machine = a_machine(world, hold=RULE)
    arrive(machine, *(job(offset, f"k{offset}") for offset in range(4)))
    for offset in range(4):
        machine.raised(world.attempts[f"j{offset}"], REFUSED, None, at())
    assert world.told[-1] == "hold validation: 4 of the 4 jobs that ended within 60 s died"
    arrive(machine, job(4, "k4"), job(5, "k5", type="other"))
    assert world.told[-2:] == ["write j4 waiting", "run j5"]
    machine.open_gate("type:validation", at(1))
    machine.tick(at(1))
    assert world.told[-1] == "run j4"


def test_each_bound_that_is_reached_is_counted() -> None:
    world = World()
    machine = a_machine(world, slots=1, full=3, key_share=1, at_gate=0)
    machine.close_gate("group:sendgrid")
    checks = [job(offset, key) for offset, key in enumerate(("a", "a", "a", "b", "c"))]
    arrive(machine, *checks, job(5, "m", type="send-email"))
    machine.tick(at())
    assert set(machine.caps) == {"key", "lane", "process"}
    machine.returned(world.attempts["j0"], "{}", None, at())
    for name in ("j3", "j4"):
        machine.returned(world.attempts[name], "{}", None, at())
    assert machine.caps["group"] == 1
