"""Jobs that compute: so many run as there are processes, and those that wait hold no slot of the worker."""

from streams.core.entry import Entry
from streams.core.gates import PROCESS_GATE
from streams.core.machine import Machine
from tests.unit.streams.core.builders import NOW
from tests.unit.streams.core.test_machine import World, a_machine, arrive, at, job

IN_PROCESS = frozenset({"validation"})


def computing(world: World, **limits: int) -> Machine:
    return a_machine(world, **{"slots": 6, "processes": 2, **limits}, in_process=IN_PROCESS)


def checks(count: int) -> list[Entry]:
    """Jobs that compute, each of a key of its own, in the order in which they were accepted."""
    return [job(n, f"k{n}", accepted_at=NOW + n) for n in range(count)]


def runs(world: World) -> list[str]:
    return [told.removeprefix("run ") for told in world.told if told.startswith("run ")]


def test_many_that_compute_leave_slots_for_those_that_do_not() -> None:
    world = World()
    machine = computing(world)
    arrive(machine, *checks(8))
    assert (runs(world), machine.running) == (["j0", "j1"], 2)
    arrive(machine, job(8, "a", type="chat-message"), job(9, "b", type="chat-message"))
    assert runs(world)[2:] == ["j8", "j9"]


def test_a_place_that_is_free_goes_to_the_next_in_order_and_each_runs_once() -> None:
    world = World()
    machine = computing(world)
    arrive(machine, *checks(6))
    for n in range(6):
        machine.returned(world.attempts[f"j{n}"], "{}", None, at(n))
    assert runs(world) == [f"j{n}" for n in range(6)]
    assert (machine.running, machine.size, machine.in_memory) == (0, 0, 0)


def test_who_is_called_too_often_finds_no_place_and_waits_anew() -> None:
    world = World()
    machine = computing(world)
    arrive(machine, *checks(5))
    machine.open_gate(PROCESS_GATE, at(1), room=3)
    assert (runs(world), machine.running, machine.waiting_at(PROCESS_GATE)) == (["j0", "j1"], 2, 3)


def test_those_that_do_not_fit_into_memory_wait_in_the_table_and_come_back() -> None:
    world = World()
    machine = computing(world, at_gate=1)
    arrive(machine, *checks(6))
    assert (machine.waiting_at(PROCESS_GATE), len(world.rows)) == (1, 3)
    for second in range(6):
        for attempt in [a for a in world.attempts.values() if not a.over]:
            machine.returned(attempt, "{}", None, at(second))
        machine.tick(at(second))
    assert sorted(runs(world)) == [f"j{n}" for n in range(6)]
    assert world.rows == {}


def test_a_place_is_taken_until_its_job_has_ended_also_when_its_partition_went() -> None:
    world = World()
    machine = computing(world)
    arrive(machine, *checks(4))
    machine.closed(0)
    machine.opened(0, at(1))
    arrive(machine, job(7, "x", accepted_at=NOW), job(8, "y", accepted_at=NOW + 1))
    assert runs(world) == ["j0", "j1"]
    machine.stopped(world.attempts["j0"], at(2))
    machine.stopped(world.attempts["j1"], at(3))
    assert runs(world)[2:] == ["j7", "j8"]
