"""Jobs of a limited provider in the machine: they wait at its gate, and start on a lease or not at all."""

from typing import Any

import pytest

from schemas.records import Failure, LimitGrant
from streams.core.attempt import CHECK_IN_VALID_S
from streams.core.entry import Entry
from streams.core.gates import group_gate
from streams.core.leases import USABLE_S, Leases
from streams.core.limits import Limits
from streams.core.machine import Machine
from tests.unit.streams.core import test_machine
from tests.unit.streams.core.builders import NOW
from tests.unit.streams.core.test_machine import World, arrive, at

GROUP = "stripe"
PAYMENT = "refund-process"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def machine(world: World) -> Machine:
    made = Machine(world, world, lambda: 0.5, Limits(10), Leases("w", 1, [GROUP]))
    made.opened(0, at())
    return made


def job(offset: int, key: str = "k", **changes: Any) -> Entry:
    """One that was accepted after those before it."""
    return test_machine.job(offset, key, accepted_at=NOW + offset, **changes)


def a_late_check_in(machine: Machine, world: World) -> float:
    """The first job's check-in is committed when its token is not good any more; returns when."""
    arrive(machine, job(0, type=PAYMENT))
    machine.requests(at())
    grant(machine, 1, 1, 0.1)
    late = USABLE_S + 0.01
    machine.committed(world.attempts["j0"], at(late))
    return late


def grant(machine: Machine, number: int, tokens: int, seconds: float, **members: Any) -> None:
    machine.granted(LimitGrant(GROUP, "w", 1, number, tokens, "closed", **members), at(seconds))


def test_a_job_of_a_limited_group_waits_without_a_slot_and_the_limiter_is_asked(
    machine: Machine, world: World
) -> None:
    arrive(machine, job(0, type=PAYMENT), job(1, "other"))
    assert world.told == ["run j1"]
    assert machine.running == 1
    (request,) = machine.requests(at())
    assert (request.group, request.wants, request.held) == (GROUP, [0, 1, 0], 0)


def test_a_token_lets_one_through_and_its_end_is_told(machine: Machine, world: World) -> None:
    arrive(machine, job(0, type=PAYMENT), job(1, "other", type=PAYMENT))
    machine.requests(at())
    grant(machine, 1, 1, 0.1)
    assert world.told == ["write j0 active"]
    machine.committed(world.attempts["j0"], at(0.2))
    assert world.told[-1] == "run j0"
    assert machine.requests(at(0.25))[0].held == 1
    machine.raised(world.attempts["j0"], Failure("provider_500", "", retryable=True), None, at(0.4))
    (told,) = machine.requests(at(0.5))
    assert (told.held, told.outcomes, told.wants) == (0, [False], [0, 1, 0])


def test_who_is_let_through_without_a_token_starts_nothing_and_waits_anew(
    machine: Machine, world: World
) -> None:
    arrive(machine, *[job(n, f"k{n}", type=PAYMENT) for n in range(3)])
    machine.requests(at())
    grant(machine, 1, 1, 0.1)
    machine.open_gate(group_gate(GROUP), at(0.1), room=2)
    assert world.told == ["write j0 active"]
    assert (machine.running, machine.waiting_at(group_gate(GROUP))) == (1, 2)


def test_a_check_in_that_is_too_late_for_its_token_starts_nothing_and_asks_again(
    machine: Machine, world: World
) -> None:
    arrive(machine, job(0, type=PAYMENT))
    machine.requests(at())
    grant(machine, 1, 1, 0.1)
    late = USABLE_S + 0.01
    machine.committed(world.attempts["j0"], at(late))
    assert "run j0" not in world.told
    assert machine.running == 0
    (request,) = machine.requests(at(late))
    assert (request.held, request.wants) == (0, [0, 1, 0])


def test_a_job_whose_check_in_outlasted_its_token_starts_on_the_next_one_without_another_check_in(
    machine: Machine, world: World
) -> None:
    """Were it checked in again, it would never start where a commit takes longer than a token lasts."""
    late = a_late_check_in(machine, world)
    (request,) = machine.requests(at(late))
    grant(machine, request.number, 1, late + 0.1)
    assert world.told == ["write j0 active", "run j0"]
    assert world.attempts["j0"].entry.attempt == 1
    machine.returned(world.attempts["j0"], "{}", None, at(late + 0.2))
    assert world.told[-1] == "write j0 completed"


def test_a_check_in_that_waited_too_long_for_a_token_is_made_again(machine: Machine, world: World) -> None:
    a_late_check_in(machine, world)
    (request,) = machine.requests(at(CHECK_IN_VALID_S + 0.1))
    grant(machine, request.number, 1, CHECK_IN_VALID_S + 0.2)
    assert world.told == ["write j0 active", "write j0 active"]


def test_a_later_check_in_of_another_job_proves_that_the_partition_is_still_ours(
    machine: Machine, world: World
) -> None:
    a_late_check_in(machine, world)
    arrive(machine, job(1, "other", type=PAYMENT), seconds=1.0)
    (request,) = machine.requests(at(1.0))
    grant(machine, request.number, 2, 1.1)
    machine.committed(world.attempts["j1"], at(1.9))
    assert world.told == ["write j0 active", "run j0", "write j1 active"]
    (request,) = machine.requests(at(2.0))
    grant(machine, request.number, 1, CHECK_IN_VALID_S + 0.1)
    assert world.told[-1] == "run j1"


def test_a_job_that_went_to_the_table_meanwhile_checks_in_again(machine: Machine, world: World) -> None:
    late = a_late_check_in(machine, world)
    entry = world.attempts["j0"].entry
    entry.at = "group:stripe"
    (request,) = machine.requests(at(late))
    grant(machine, request.number, 1, late + 0.1)
    assert world.told[-1] == "write j0 active"
    assert entry.at is None


def test_a_checked_in_job_holds_its_key_also_when_its_type_is_held_meanwhile(
    machine: Machine, world: World
) -> None:
    late = a_late_check_in(machine, world)
    machine.close_gate(f"type:{PAYMENT}")
    (request,) = machine.requests(at(late))
    grant(machine, request.number, 1, late + 0.1)
    (row,) = world.rows.values()
    assert (row.gate, row.holder) == (f"type:{PAYMENT}", True)


def test_those_behind_a_checked_in_job_that_waits_for_a_token_go_to_the_table(
    machine: Machine, world: World
) -> None:
    """In memory they would fill their lane, and all other jobs wait for the provider, too."""
    late = a_late_check_in(machine, world)
    arrive(machine, job(1, type=PAYMENT), seconds=late)
    assert machine.in_memory == 1
    machine.tick(at(late + 1.1))
    assert machine.in_memory == 0
    assert len(world.rows) == 2


def test_a_token_that_nobody_needs_any_more_is_given_back(machine: Machine, world: World) -> None:
    arrive(machine, job(0, type=PAYMENT))
    machine.requests(at())
    grant(machine, 1, 2, 0.1)
    assert machine.requests(at(0.2)) == []
    assert machine.requests(at(0.5))[0].held == 1


def test_a_job_behind_others_at_the_gate_does_not_overtake_them(machine: Machine, world: World) -> None:
    arrive(machine, job(0, "a", type=PAYMENT))
    machine.requests(at())
    machine.granted(LimitGrant(GROUP, "w", 1, 1, 1, "closed"), at(0.1))
    arrive(machine, job(1, "b", type=PAYMENT), job(2, "c", type=PAYMENT), seconds=0.15)
    (request,) = machine.requests(at(0.2))
    grant(machine, request.number, 1, 0.25)
    assert [line for line in world.told if "active" in line] == ["write j0 active", "write j1 active"]


def test_a_call_whose_slot_cannot_be_renewed_is_ended_once(machine: Machine, world: World) -> None:
    arrive(machine, job(0, type=PAYMENT))
    machine.requests(at())
    grant(machine, 1, 1, 0.1)
    machine.committed(world.attempts["j0"], at(0.2))
    machine.tick(at(8.0))
    assert "kill j0" not in world.told
    machine.tick(at(9.0))
    machine.tick(at(9.1))
    assert world.told.count("kill j0") == 1
    machine.stopped(world.attempts["j0"], at(9.2))
    assert machine.requests(at(9.3))[0].held == 0


def test_a_partition_that_goes_gives_its_leases_back(machine: Machine, world: World) -> None:
    arrive(machine, job(0, type=PAYMENT))
    machine.requests(at())
    grant(machine, 1, 1, 0.1)
    machine.lost(world.attempts["j0"], at(0.2))
    assert machine.requests(at(0.3))[0].held == 0
