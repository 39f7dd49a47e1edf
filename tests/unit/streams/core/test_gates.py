"""Gates, seen from the machine: who waits where, what goes on meanwhile, and in which order they pass."""

from typing import Any

import pytest

from schemas.priorities import Lane
from schemas.records import Failure, IdempotencyEntry
from streams.core.entry import Entry
from streams.core.gates import Gates, group_gate, queue_gate, type_gate
from streams.core.machine import Machine
from tests.unit.streams.core.builders import NOW, an_entry
from tests.unit.streams.core.test_machine import World, a_machine, arrive, at

MONEY, SENDGRID = queue_gate("money"), group_gate("sendgrid")
SLOW = Failure("timeout", "slow", retryable=True)


def a_mail(offset: int, key: str = "", **changes: Any) -> Entry:
    given = {"job_id": f"j{offset}", "type": "send-email", "queue": "communication"}
    where = {"ordering_key": key or f"k{offset}", "accepted_at": NOW + offset}
    return an_entry(offset, **{**given, **where, **changes})


def a_check(offset: int, key: str, queue: str = "robot", **changes: Any) -> Entry:
    return an_entry(offset, **{"job_id": f"j{offset}", "ordering_key": key, "queue": queue, **changes})


@pytest.fixture
def world() -> World:
    return World()


def ran(world: World) -> list[str]:
    return [told.removeprefix("run ") for told in world.told if told.startswith("run ")]


def checked_in(world: World) -> list[str]:
    """The jobs whose turn came, mails being checked in first."""
    return [told.split()[1] for told in world.told if told.endswith(" active")]


def test_a_job_of_a_paused_queue_goes_to_the_table_and_others_of_its_key_run(world: World) -> None:
    machine = a_machine(world)
    machine.close_gate(MONEY)
    arrive(machine, a_check(0, "k", "money"), a_check(1, "k"), a_check(2, "k", "money"))
    assert ran(world) == ["j1"]
    machine.returned(world.attempts["j1"], "{}", None, at())
    assert sorted(row.job.job_id for row in world.rows.values()) == ["j0", "j2"]
    assert (machine.running, machine.in_memory, machine.size) == (0, 0, 0)


def test_jobs_of_a_paused_queue_run_in_their_order_when_it_goes_on(world: World) -> None:
    machine = a_machine(world)
    machine.close_gate(MONEY)
    arrive(machine, a_check(0, "k", "money"), a_check(1, "k", "money", priority=9))
    machine.open_gate(MONEY, at())
    arrive(machine, a_check(2, "k", "money"))
    machine.tick(at())
    for name in ("j0", "j1", "j2"):
        assert ran(world)[-1] == name
        machine.returned(world.attempts[name], "{}", None, at())
    assert world.rows == {}


def test_a_job_ready_when_its_queue_goes_on_does_not_overtake_those_at_the_gate(
    world: World,
) -> None:
    machine = a_machine(world, slots=1)
    machine.close_gate(MONEY)
    arrive(machine, a_check(0, "k", "money"))
    arrive(machine, a_check(1, "other"), a_check(2, "k", "money"))
    machine.open_gate(MONEY, at())
    machine.returned(world.attempts["j1"], "{}", None, at())
    assert ran(world) == ["j1", "j0"]
    machine.returned(world.attempts["j0"], "{}", None, at())
    assert ran(world) == ["j1", "j0", "j2"]


def test_a_pause_outlives_the_owner(world: World) -> None:
    first = a_machine(world)
    first.close_gate(MONEY)
    arrive(first, a_check(0, "k", "money"))
    second = Machine(world, world, lambda: 0.5, first._limits)
    second.close_gate(MONEY)
    second.opened(0, at())
    second.tick(at(1))
    assert ran(world) == []
    second.open_gate(MONEY, at(2))
    second.tick(at(2))
    assert ran(world) == ["j0"]


def test_a_retry_of_a_held_type_keeps_its_key_and_uses_no_attempt(world: World) -> None:
    machine = a_machine(world)
    arrive(machine, a_check(0, "k"), a_check(1, "k", type="other"))
    machine.close_gate(type_gate("validation"))
    machine.raised(world.attempts["j0"], SLOW, None, at())
    machine.tick(at(2))
    machine.tick(at(3))
    assert ran(world) == ["j0"]
    machine.open_gate(type_gate("validation"), at(4))
    machine.tick(at(4))
    assert ran(world) == ["j0", "j0"]
    assert world.attempts["j0"].entry.attempt == 2


def test_at_a_providers_gate_the_key_waits_and_a_slot_does_not(world: World) -> None:
    machine = a_machine(world, slots=1)
    machine.close_gate(SENDGRID)
    arrive(machine, a_mail(0, "k"), a_check(1, "k"), a_check(2, "other"))
    assert ran(world) == ["j2"]
    assert (machine.waiting_at(SENDGRID), machine.in_memory) == (1, 2)


def test_who_waits_for_a_provider_goes_on_by_lane_then_priority_then_age(world: World) -> None:
    machine = a_machine(world)
    machine.close_gate(SENDGRID)
    arrive(machine, a_mail(0), a_mail(1, priority=6), a_mail(2, accepted_at=NOW - 5))
    arrive(machine, a_mail(3, lane=Lane.URGENT, priority=8))
    for _ in range(4):
        machine.open_gate(SENDGRID, at(), room=1)
    assert checked_in(world) == ["j3", "j1", "j2", "j0"]


def test_room_lets_so_many_pass_and_those_that_come_wait(world: World) -> None:
    machine = a_machine(world)
    machine.close_gate(SENDGRID)
    arrive(machine, a_mail(0), a_mail(1), a_mail(2))
    machine.open_gate(SENDGRID, at(), room=2)
    arrive(machine, a_mail(3))
    assert checked_in(world) == ["j0", "j1"]


def test_what_is_too_much_at_a_providers_gate_waits_in_the_table_and_comes_back_in_turn(world: World) -> None:
    machine = a_machine(world, at_gate=2)
    machine.close_gate(SENDGRID)
    arrive(machine, *(a_mail(offset) for offset in range(5)), a_mail(5, priority=7))
    assert machine.waiting_at(SENDGRID) == 2
    assert len(world.rows) == 4
    passed: list[str] = []
    for _ in range(6):
        machine.open_gate(SENDGRID, at(), room=1)
        machine.tick(at())
        passed = checked_in(world)
    assert passed == ["j5", "j0", "j1", "j2", "j3", "j4"]


def test_the_table_fills_up_all_places_before_a_provider_again(world: World) -> None:
    """The limiter grants as many tokens as it hears of jobs that wait in memory: one would be one a round."""
    machine = a_machine(world, at_gate=4)
    machine.close_gate(SENDGRID)
    arrive(machine, *(a_mail(offset) for offset in range(12)))
    machine.open_gate(SENDGRID, at(), room=4)
    machine.tick(at(0.1))
    assert machine.waiting_at(SENDGRID) == 4
    machine.open_gate(SENDGRID, at(0.2), room=4)
    machine.tick(at(0.3))
    assert checked_in(world) == [f"j{offset}" for offset in range(8)]


def test_a_newcomer_does_not_overtake_those_who_wait_in_the_table(world: World) -> None:
    machine = a_machine(world, at_gate=1)
    machine.close_gate(SENDGRID)
    arrive(machine, a_mail(0), a_mail(1))
    machine.open_gate(SENDGRID, at(), room=1)
    machine.tick(at())
    arrive(machine, a_mail(2, accepted_at=NOW + 2))
    machine.open_gate(SENDGRID, at(), room=1)
    assert checked_in(world) == ["j0", "j1"]


def test_who_waits_for_a_provider_for_long_lets_its_offset_go_with_those_behind(world: World) -> None:
    machine = a_machine(world)
    machine.close_gate(SENDGRID)
    arrive(machine, a_mail(0, "k"), a_check(1, "k"))
    machine.tick(at(0.5))
    assert world.rows == {}
    machine.tick(at(1.1))
    assert [row.gate for row in world.rows.values()] == [SENDGRID, None]
    assert machine.waiting_at(SENDGRID) == 1
    machine.open_gate(SENDGRID, at(2), room=1)
    assert checked_in(world) == ["j0"]


def test_a_duplicate_needs_no_room_at_the_provider(world: World) -> None:
    machine = a_machine(world)
    machine.close_gate(SENDGRID)
    arrive(machine, a_mail(0, "k", idempotency=b"d"))
    machine.open_gate(SENDGRID, at(), room=1)
    machine.committed(world.attempts["j0"], at())
    machine.returned(world.attempts["j0"], "{}", None, at())
    world.keys[b"d"] = IdempotencyEntry("j0", b"hash", "completed", NOW + 1_000)
    arrive(machine, a_mail(1, "k", idempotency=b"d"))
    assert world.told[-1] == "write j1 duplicate"


def test_a_partition_that_goes_takes_those_at_gates_with_it(world: World) -> None:
    machine = a_machine(world)
    machine.close_gate(SENDGRID)
    arrive(machine, a_mail(0))
    machine.closed(0)
    machine.open_gate(SENDGRID, at())
    machine.tick(at(2))
    assert (checked_in(world), machine.size, machine.running) == ([], 0, 0)


def test_the_gates_of_a_job_are_its_queue_its_type_and_its_provider() -> None:
    gates = Gates(1)
    job = a_mail(0).job
    for name in (group_gate("sendgrid"), type_gate("send-email"), queue_gate("communication")):
        gates.closed.add(name)
        assert gates.closed_for(job) == name
    gates.closed = {queue_gate("money"), group_gate("stripe")}
    assert gates.closed_for(job) is None
