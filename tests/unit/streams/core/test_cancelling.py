"""Jobs end because somebody asks for it: wherever they stand, whenever the order comes, and no others."""

from typing import Any

import pytest

from schemas.commands import Cancel, cancel_request
from schemas.keys import digest
from schemas.priorities import Lane
from schemas.records import Control, Failure, IdempotencyEntry, Job
from schemas.states import State
from schemas.tiers import POLICIES, Tier
from streams.core.admission import Source, job_of_command
from streams.core.cancels import mark_place
from streams.core.entry import Entry
from streams.core.machine import Machine
from streams.core.outcome import Writes, series_key
from tests.unit.streams.core.builders import NOW
from tests.unit.streams.core.test_machine import World, a_machine, arrive, at, job

SLOW = Failure("timeout", "slow", retryable=True)
KEPT_S = POLICIES[Tier.IMPORTANT].retention_ms / 1000


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def machine(world: World) -> Machine:
    return a_machine(world)


def a_cancel(
    name: str, key: str = "k", *, series: int = 0, seconds: float = 0.0, reason: str = "wrong"
) -> Entry:
    """The command as it comes from the urgent lane."""
    order = Cancel(name, 2, "ada", series, reason)
    request = cancel_request(order, key, command_id=f"cancel-{name}", at=NOW + round(seconds * 1000))
    command = job_of_command(request, Source("job-requests", 0, 0))
    return Entry(command, mark_place(name), 0, "step")


def cancel(machine: Machine, name: str, *, seconds: float = 0.0, **members: Any) -> None:
    machine.arrived(0, Lane.URGENT, [a_cancel(name, seconds=seconds, **members)], at(seconds))


def told(world: World) -> list[str]:
    """What happened to jobs; the commands' own records are complete, too."""
    return [line for line in world.told if " cancel-" not in line]


def marks(world: World) -> list[bytes]:
    return [place for place in world.rows if place.startswith(bytes(16))]


def is_complete(world: World, name: str) -> bool:
    return any(line.startswith(f"write cancel-{name}") for line in world.told)


def failed(machine: Machine, world: World, name: str) -> None:
    machine.raised(world.attempts[name], SLOW, None, at(0.01))


# -- where it waits


def test_a_ready_job_ends_and_the_next_of_its_key_goes_on(world: World) -> None:
    machine = a_machine(world, slots=1)
    arrive(machine, job(0, key="other"), job(1), job(2))
    cancel(machine, "j1")
    machine.returned(world.attempts["j0"], "{}", None, at(0.01))
    assert told(world) == ["run j0", "write j1 cancelled", "write j0 active+completed", "run j2"]


def test_a_job_behind_another_in_memory_ends_and_nobody_else(machine: Machine, world: World) -> None:
    arrive(machine, job(0), job(1), job(2))
    cancel(machine, "j1")
    machine.returned(world.attempts["j0"], "{}", None, at(0.01))
    assert told(world) == ["run j0", "write j1 cancelled", "write j0 active+completed", "run j2"]
    assert machine.in_memory == 1


def test_a_job_that_waits_in_the_table_ends(world: World) -> None:
    machine = a_machine(world, key_share=1)
    arrive(machine, job(0), job(1), job(2), job(3))
    assert len(world.rows) == 4
    cancel(machine, "j2")
    assert told(world)[-1] == "write j2 cancelled"
    machine.returned(world.attempts["j0"], "{}", None, at(0.01))
    machine.returned(world.attempts["j1"], "{}", None, at(0.02))
    assert [line for line in told(world) if line.startswith("run")] == ["run j0", "run j1", "run j3"]


def test_a_delayed_job_ends_at_once_and_never_runs(machine: Machine, world: World) -> None:
    arrive(machine, job(0, not_before=NOW + 5_000))
    cancel(machine, "j0")
    machine.tick(at(10))
    assert told(world) == ["write j0 delayed", "write j0 cancelled"]
    assert world.rows == {}


def test_a_job_that_waits_for_its_retry_ends_and_its_key_goes_on(machine: Machine, world: World) -> None:
    arrive(machine, job(0), job(1))
    failed(machine, world, "j0")
    cancel(machine, "j0", seconds=0.1)
    assert told(world)[-2:] == ["write j0 cancelled", "run j1"]
    machine.tick(at(10))
    assert told(world).count("run j0") == 1


@pytest.mark.parametrize("gate", ["queue:robot", "type:validation"])
def test_a_job_at_a_closed_gate_ends(machine: Machine, world: World, gate: str) -> None:
    machine.close_gate(gate)
    arrive(machine, job(0), job(1))
    cancel(machine, "j0")
    machine.open_gate(gate, at(1))
    machine.tick(at(1))
    assert [line for line in told(world) if "waiting" not in line] == ["write j0 cancelled", "run j1"]


def test_a_job_at_its_providers_gate_ends_and_its_key_goes_on(machine: Machine, world: World) -> None:
    machine.close_gate("group:internal")
    arrive(machine, job(0, type="data_fetch"), job(1))
    cancel(machine, "j0")
    assert told(world) == ["write j0 cancelled", "run j1"]
    machine.open_gate("group:internal", at(1))
    assert told(world)[-1] == "run j1"


def test_when_those_before_a_provider_are_cancelled_the_ones_in_the_table_take_their_place(
    world: World,
) -> None:
    machine = a_machine(world, at_gate=1)
    machine.close_gate("group:internal")
    arrive(machine, job(0, type="data_fetch"), job(1, key="other", type="data_fetch", accepted_at=NOW + 1))
    cancel(machine, "j0")
    assert machine.waiting_at("group:internal") == 0
    machine.tick(at(0.02))
    machine.tick(at(0.04))
    assert machine.waiting_at("group:internal") == 1


def test_the_end_says_who_and_why_and_leaves_nothing(machine: Machine, world: World) -> None:
    arrive(machine, job(0, not_before=NOW + 5_000))
    said: list[str | None] = []
    write = world.write

    def overheard(entry: Entry, writes: Writes) -> None:
        said.extend(move.reason for move in writes.transitions)
        write(entry, writes)

    world.write = overheard  # type: ignore[method-assign]
    cancel(machine, "j0")
    assert said == ["by ada: wrong"]
    assert (is_complete(world, "j0"), machine.in_memory, world.rows) == (True, 0, {})


# -- where it runs


def test_a_running_job_is_asked_and_stopped_after_its_grace(machine: Machine, world: World) -> None:
    arrive(machine, job(0), job(1))
    cancel(machine, "j0")
    machine.tick(at(4.9))
    assert "kill j0" not in told(world)
    machine.tick(at(5.1))
    machine.stopped(world.attempts["j0"], at(5.2))
    assert [line for line in told(world) if not line.startswith("write j1")] == [
        "run j0", "ask j0", "write j0 active", "kill j0", "write j0 cancelled", "run j1",
    ]  # fmt: skip
    assert marks(world) == []


def test_one_that_stops_when_asked_is_not_killed(machine: Machine, world: World) -> None:
    arrive(machine, job(0))
    cancel(machine, "j0")
    machine.raised(world.attempts["j0"], Failure("stopped", "asked", retryable=True), None, at(0.05))
    machine.tick(at(10))
    assert told(world) == ["run j0", "ask j0", "write j0 active+cancelled"]


def test_one_that_fails_after_it_was_asked_is_not_tried_again(machine: Machine, world: World) -> None:
    arrive(machine, job(0, attempts=5))
    cancel(machine, "j0")
    failed(machine, world, "j0")
    assert told(world)[-1] == "write j0 active+cancelled"


def test_one_that_returns_all_the_same_is_completed(machine: Machine, world: World) -> None:
    arrive(machine, job(0))
    cancel(machine, "j0")
    machine.returned(world.attempts["j0"], "{}", None, at(0.05))
    assert told(world)[-1] == "write j0 active+completed"
    assert marks(world) == []


def test_a_second_cancel_does_not_lengthen_the_grace(machine: Machine, world: World) -> None:
    arrive(machine, job(0))
    cancel(machine, "j0")
    cancel(machine, "j0", seconds=4)
    machine.tick(at(5.1))
    assert (told(world).count("ask j0"), told(world).count("kill j0")) == (1, 1)


def test_one_that_is_checking_in_never_starts(machine: Machine, world: World) -> None:
    arrive(machine, job(0, type="refund-process"), job(1))
    cancel(machine, "j0")
    machine.committed(world.attempts["j0"], at(0.1))
    assert told(world) == ["write j0 active", "write j0 cancelled", "run j1"]


def test_a_cancel_outlives_the_owner_that_was_asked(machine: Machine, world: World) -> None:
    arrive(machine, job(0))
    machine.tick(at(1))
    cancel(machine, "j0", seconds=1)
    other = a_machine(world)
    other.tick(at(2))
    assert [line for line in told(world) if line != "ask j0"] == [
        "run j0", "write j0 active", "write j0 cancelled",
    ]  # fmt: skip
    assert world.rows == {}


def test_the_end_of_a_handler_that_goes_with_its_partition_is_the_next_owners(
    machine: Machine, world: World
) -> None:
    arrive(machine, job(0))
    cancel(machine, "j0")
    machine.closing(0)
    machine.stopped(world.attempts["j0"], at(1))
    assert told(world) == ["run j0", "ask j0"]
    assert marks(world) == [mark_place("j0")]


# -- before it comes


def test_a_cancel_that_comes_first_meets_its_job_at_the_door(machine: Machine, world: World) -> None:
    cancel(machine, "j0")
    assert marks(world) == [mark_place("j0")]
    arrive(machine, job(0), job(1))
    assert told(world) == ["write j0 cancelled", "run j1"]
    assert world.rows == {}


def test_it_is_remembered_by_the_next_owner(machine: Machine, world: World) -> None:
    cancel(machine, "j0")
    other = a_machine(world)
    arrive(other, job(0))
    assert told(world) == ["write j0 cancelled"]


def test_it_is_forgotten_when_the_lane_has_forgotten_its_job(machine: Machine, world: World) -> None:
    cancel(machine, "j0")
    machine.tick(at(KEPT_S - 1))
    assert marks(world) != []
    machine.tick(at(KEPT_S + 60))
    assert marks(world) == []


def test_a_later_series_of_the_job_runs(machine: Machine, world: World) -> None:
    cancel(machine, "j0")
    arrive(machine, job(0, series=1))
    assert told(world) == ["run j0"]


def test_a_job_of_the_same_id_accepted_long_after_the_cancel_runs(machine: Machine, world: World) -> None:
    cancel(machine, "j0")
    arrive(machine, job(0, accepted_at=NOW + 120_000))
    assert told(world) == ["run j0"]


def test_a_cancel_of_an_earlier_series_leaves_the_later_one(machine: Machine, world: World) -> None:
    arrive(machine, job(0, series=2))
    cancel(machine, "j0", series=1)
    assert told(world) == ["run j0"]
    assert is_complete(world, "j0")


def test_a_command_that_says_nothing_is_complete_and_does_nothing(machine: Machine, world: World) -> None:
    command = a_cancel("j0")
    command.job = Job(**{**{f: getattr(command.job, f) for f in Job.__struct_fields__}, "data": "{"})
    machine.arrived(0, Lane.URGENT, [command], at())
    assert (is_complete(world, "j0"), world.rows) == (True, {})


# -- clear


def a_clear(seconds: float = 0.0, **members: Any) -> Control:
    before = NOW + round(seconds * 1000)
    return Control("clear", **{"queue": "robot", "at": before, "by": "ada", "before": before, **members})


def test_a_clear_ends_what_waits_in_the_table_and_leaves_what_runs(world: World) -> None:
    machine = a_machine(world, key_share=1)
    arrive(machine, *(job(n) for n in range(4)), job(4, key="later", not_before=NOW + 9_000))
    machine.clear(a_clear(), at(0.01))
    for n in range(3):
        machine.tick(at(0.02 + n / 100))
    machine.returned(world.attempts["j0"], "{}", None, at(0.09))
    ends = [line for line in told(world) if "cancelled" in line or "completed" in line]
    assert sorted(ends) == [
        "write j0 active+completed", "write j1 cancelled", "write j2 cancelled", "write j3 cancelled",
        "write j4 cancelled",
    ]  # fmt: skip
    assert world.rows == {}


def test_a_clear_meets_older_jobs_that_come_later_and_lets_younger_ones_pass(
    machine: Machine, world: World
) -> None:
    machine.clear(a_clear(1), at(1))
    arrive(machine, job(0), job(1, accepted_at=NOW + 1_001, key="y"), seconds=2)
    assert told(world) == ["write j0 cancelled", "run j1"]


def test_a_clear_of_the_delayed_leaves_the_waiting(machine: Machine, world: World) -> None:
    machine.clear(a_clear(1, state="delayed"), at(1))
    arrive(machine, job(0), job(1, key="y", not_before=NOW + 60_000), seconds=2)
    assert told(world) == ["write j1 cancelled", "run j0"]


def test_what_waits_in_memory_ends_when_its_turn_comes(world: World) -> None:
    machine = a_machine(world, slots=1)
    arrive(machine, job(0), job(1), job(2, queue="money"))
    machine.clear(a_clear(), at(0.01))
    machine.returned(world.attempts["j0"], "{}", None, at(0.02))
    assert told(world) == ["run j0", "write j0 active+completed", "write j1 cancelled", "run j2"]


def test_a_clear_of_a_paused_queue_does_not_wait_for_its_gate(machine: Machine, world: World) -> None:
    machine.close_gate("queue:robot")
    arrive(machine, *(job(n, key=f"k{n}") for n in range(60)))
    assert len(world.rows) == 60
    machine.clear(a_clear(), at(1))
    for n in range(5):
        machine.tick(at(1 + n / 10))
    assert world.rows == {}


def test_the_next_owner_goes_on_with_a_clear(machine: Machine, world: World) -> None:
    arrive(machine, job(0, not_before=NOW + 9_000))
    other = Machine(world, world, lambda: 0.5, machine._limits)
    other.clear(a_clear(), at(1))
    other.opened(0, at(1))
    other.tick(at(1.1))
    assert told(world)[-1] == "write j0 cancelled"


# -- series


def test_a_second_request_for_a_series_has_no_effect(machine: Machine, world: World) -> None:
    arrive(machine, job(0, series=1))
    machine.raised(world.attempts["j0"], Failure("no", "no", retryable=False), None, at(0.01))
    arrive(machine, job(0, series=1), seconds=1)
    assert told(world) == ["run j0", "write j0 active+dead", "write j0 waiting"]
    assert world.keys[series_key(job(0, series=1).job)].state == State.DEAD


def test_a_series_after_the_effect_is_a_duplicate_of_its_own_job(machine: Machine, world: World) -> None:
    key = digest("a")
    world.keys[key] = IdempotencyEntry("j0", b"hash", State.COMPLETED, NOW + 9_000_000, "r")
    arrive(machine, job(0, series=1, idempotency=key))
    assert told(world) == ["write j0 duplicate"]


@pytest.mark.parametrize("end", ["dead", "cancelled"])
def test_an_id_that_is_handed_in_again_after_its_end_gets_the_next_series(
    machine: Machine, world: World, end: str
) -> None:
    key = digest("a")
    for number in range(2):
        arrive(machine, job(number, job_id="j0", idempotency=key))
        if end == "cancelled":
            cancel(machine, "j0", series=number)
        machine.raised(world.attempts["j0"], Failure("no", "no", retryable=False), None, at(0.01))
    assert [line for line in told(world) if end in line] == [f"write j0 active+{end}"] * 2
    assert world.keys[key].series == 1
    assert world.series[-1] == 1


def test_the_death_of_one_does_not_take_the_effect_of_another(machine: Machine, world: World) -> None:
    key = digest("a")
    done = world.keys[key] = IdempotencyEntry("first", b"hash", State.COMPLETED, NOW + 9_000_000, "r")
    arrive(machine, job(0, idempotency=key, data_hash=b"other"))
    assert told(world) == ["write j0 dead"]
    assert world.keys[key] == done


def test_after_a_death_another_job_of_the_key_runs(machine: Machine, world: World) -> None:
    key = digest("a")
    arrive(machine, job(0, idempotency=key), job(1, idempotency=key))
    machine.raised(world.attempts["j0"], Failure("no", "no", retryable=False), None, at(0.01))
    assert told(world)[-1] == "run j1"
    assert world.series[-1] == 0


def test_a_cancel_of_a_job_that_has_died_leaves_the_one_that_is_handed_in_again(
    machine: Machine, world: World
) -> None:
    key = digest("one")
    cancel(machine, "j0")
    world.keys[key] = IdempotencyEntry("j0", b"", State.DEAD, NOW + 10**9, None, 0)
    arrive(machine, job(0, idempotency=key), seconds=1)
    assert told(world) == ["run j0"]


def test_a_clear_ends_the_series_that_comes_not_the_one_that_has_ended(
    machine: Machine, world: World
) -> None:
    key = digest("one")
    world.keys[key] = IdempotencyEntry("j0", b"", State.DEAD, NOW + 10**9, None, 0)
    machine.clear(a_clear(), at(0.01))
    arrive(machine, job(0, idempotency=key))
    assert told(world) == ["write j0 cancelled"]
    assert world.keys[key].series == 1


def test_a_second_request_for_a_series_that_was_cancelled_says_nothing(
    machine: Machine, world: World
) -> None:
    machine.clear(a_clear(), at(0.01))
    arrive(machine, job(0, series=1), job(1, job_id="j0", series=1))
    assert told(world) == ["write j0 cancelled", "write j0 waiting"]


def test_a_clear_does_not_end_a_series_of_which_another_request_runs(machine: Machine, world: World) -> None:
    arrive(machine, job(0, series=1))
    machine.clear(a_clear(), at(0.01))
    arrive(machine, job(1, job_id="j0", series=1))
    machine.returned(world.attempts["j0"], "{}", None, at(0.02))
    assert told(world) == ["run j0", "write j0 active+completed", "write j0 waiting"]


def test_an_old_cancel_says_nothing_of_a_job_that_has_completed_since(machine: Machine, world: World) -> None:
    key = digest("one")
    cancel(machine, "j0")
    world.keys[key] = IdempotencyEntry("j0", b"", State.COMPLETED, NOW + 10**9, None, 1)
    arrive(machine, job(0, idempotency=key))
    assert told(world) == ["write j0 waiting"]
