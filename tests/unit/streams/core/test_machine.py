"""The machine, event by event: what it decides, told by what its hands are asked to do."""

from typing import Any

import pytest

from schemas.priorities import Lane
from schemas.records import DeadLetter, Failure, IdempotencyEntry
from schemas.states import State
from streams.core.attempt import Attempt
from streams.core.backoff import Dead
from streams.core.entry import Entry
from streams.core.limits import Limits
from streams.core.machine import Machine
from streams.core.outcome import Outcome, Writes, series_key
from streams.core.ports import Time, Unwritable
from tests.unit.streams.core.builders import NOW, MemoryTables, an_entry

SLOW = Failure("timeout", "slow", retryable=True)
DIGEST = b"d" * 16


class World(MemoryTables):
    """Hands and tables of one partition; `told` is what was asked for, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.attempts: dict[str, Attempt] = {}
        self.outcomes: list[Outcome] = []
        self.is_ours = True
        self.series: list[int] = []
        self.too_large: set[State] = set()

    def write(self, entry: Entry, writes: Writes) -> None:
        if not self.is_ours:
            raise LookupError("not ours")
        states = [State(move.to_state) for move in writes.transitions]
        if self.too_large & set(states):
            raise Unwritable("too large")
        assert writes.bad == []
        if writes.parked is not None:
            self.rows[entry.position] = writes.parked
        else:
            self.rows.pop(entry.position, None)
        if writes.idempotency is not None and entry.job.idempotency is not None:
            self.keys[entry.job.idempotency] = writes.idempotency
        if writes.series is not None:
            self.keys[series_key(entry.job)] = writes.series
        self.told.append(f"write {entry.job.job_id} {'+'.join(states) or 'waiting'}")
        self.series.append(entry.job.series)

    def check_in(self, attempt: Attempt, writes: Writes) -> None:
        self.write(attempt.entry, writes)
        self.attempts[attempt.entry.job.job_id] = attempt

    def run(self, attempt: Attempt) -> None:
        self.attempts[attempt.entry.job.job_id] = attempt
        self.told.append(f"run {attempt.entry.job.job_id}")

    def cancel(self, attempt: Attempt) -> None:
        self.told.append(f"ask {attempt.entry.job.job_id}")

    def stop(self, attempt: Attempt) -> None:
        self.told.append(f"kill {attempt.entry.job.job_id}")

    def ended(self, attempt: Attempt, result: Outcome) -> None:
        self.outcomes.append(result)

    def hold_type(self, entry: Entry, reason: str) -> None:
        self.told.append(f"hold {entry.job.type}: {reason}")

    def letter(self, entry: Entry, failure: Failure, now: int) -> DeadLetter:
        return DeadLetter(
            entry.job.job_id, 2, "", 0, 0, None, None, {}, failure.error_class, failure.message, "", now, now
        )

    def hold(self, partition: int, lane: Lane) -> None:
        self.told.append(f"hold {lane.label}")

    def release(self, partition: int, lane: Lane) -> None:
        self.told.append(f"release {lane.label}")


def at(seconds: float = 0.0) -> Time:
    return Time(NOW + round(seconds * 1000), 50.0 + seconds)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def machine(world: World) -> Machine:
    return a_machine(world)


def a_machine(world: World, **limits: Any) -> Machine:
    made = Machine(world, world, lambda: 0.5, Limits(**{"slots": 10, **limits}))
    made.opened(0, at())
    return made


def arrive(machine: Machine, *entries: Entry, seconds: float = 0.0) -> None:
    machine.arrived(0, entries[0].lane, entries, at(seconds))


def job(offset: int, key: str = "k", **changes: Any) -> Entry:
    return an_entry(offset, **{"job_id": f"j{offset}", "ordering_key": key, **changes})


def test_a_job_without_check_in_runs_at_once_and_is_written_when_it_returns(
    machine: Machine, world: World
) -> None:
    arrive(machine, job(0))
    machine.returned(world.attempts["j0"], "{}", None, at(0.01))
    assert world.told == ["run j0", "write j0 active+completed"]
    assert (machine.running, machine.in_memory, machine.size) == (0, 0, 0)


def test_a_job_with_check_in_runs_when_it_is_committed(machine: Machine, world: World) -> None:
    arrive(machine, job(0, type="refund-process"))
    assert world.told == ["write j0 active"]
    machine.committed(world.attempts["j0"], at(1.9))
    assert world.told == ["write j0 active", "run j0"]


def test_a_check_in_that_is_too_old_is_made_again(machine: Machine, world: World) -> None:
    arrive(machine, job(0, type="refund-process"))
    machine.committed(world.attempts["j0"], at(2.1))
    assert world.told == ["write j0 active", "write j0 active"]
    machine.committed(world.attempts["j0"], at(2.2))
    assert world.told[-1] == "run j0"


def test_a_check_in_that_is_lost_gives_the_partition_up(machine: Machine, world: World) -> None:
    arrive(machine, job(0, type="refund-process"), job(1))
    machine.lost(world.attempts["j0"], at())
    arrive(machine, job(2, "other"))
    assert world.told == ["write j0 active"]
    assert machine.running == 0


def test_what_arrives_behind_a_failed_job_is_parked_and_follows_it(machine: Machine, world: World) -> None:
    arrive(machine, job(0), job(1))
    machine.raised(world.attempts["j0"], SLOW, None, at())
    assert world.told[1:] == ["write j0 active+failed+delayed", "write j1 waiting"]
    machine.tick(at(1.5))
    machine.returned(world.attempts["j0"], "{}", None, at(1.6))
    assert world.told[3:] == ["run j0", "write j0 active+completed", "run j1"]


@pytest.mark.parametrize(
    ("behind_s", "short", "long"),
    [(0.0, 0.09, 0.11), (0.1, 0.39, 0.41), (60.0, 0.9, 1.1)],
    ids=["a loop in time", "a loop that is behind", "no longer than a second"],
)
def test_a_job_that_runs_on_lets_its_offset_go_once(
    machine: Machine, world: World, behind_s: float, short: float, long: float
) -> None:
    arrive(machine, job(0))
    machine.tick(at(short), behind_s)
    assert world.told == ["run j0"]
    machine.tick(at(long), behind_s)
    machine.tick(at(5), behind_s)
    assert world.told == ["run j0", "write j0 active"]


def test_those_behind_a_job_that_runs_for_long_let_their_offsets_go(machine: Machine, world: World) -> None:
    """A hundred of them held up the offsets of the whole partition."""
    arrive(machine, job(0), job(1))
    machine.tick(at(0.5))
    machine.tick(at(0.9))
    assert world.told == ["run j0", "write j0 active"]
    machine.tick(at(1.0))
    arrive(machine, job(2), seconds=1.1)
    assert world.told[2:] == ["write j1 waiting", "write j2 waiting"]
    for name in ("j0", "j1", "j2"):
        machine.returned(world.attempts[name], "{}", None, at(2))
    assert world.told[-1] == "write j2 active+completed"
    assert (world.rows, machine.size) == ({}, 0)


def test_a_job_that_was_interrupted_checks_in_whatever_its_type(world: World) -> None:
    first = a_machine(world)
    arrive(first, job(0))
    first.tick(at(0.2))
    second = a_machine(world)
    assert world.told == ["run j0", "write j0 active", "write j0 active"]
    (row,) = world.rows.values()
    assert row.interruptions == 1
    second.committed(world.attempts["j0"], at())
    assert world.told[-1] == "run j0"


def test_after_an_owner_that_died_the_first_jobs_check_in_whatever_their_type(world: World) -> None:
    machine = Machine(world, world, lambda: 0.5, Limits(10, suspects=2))
    machine.opened(0, at(), left_open=True)
    assert machine.suspects(0)
    arrive(machine, *(job(offset, f"k{offset}") for offset in range(3)))
    assert world.told == ["write j0 active", "write j1 active", "run j2"]
    assert not machine.suspects(0)


def test_after_an_owner_that_gave_the_partition_back_nobody_is_suspected(world: World) -> None:
    machine = Machine(world, world, lambda: 0.5, Limits(10))
    machine.opened(0, at())
    assert not machine.suspects(0)


def test_an_outcome_of_an_earlier_ownership_is_not_written(machine: Machine, world: World) -> None:
    """It was, when the partition came back to the same process: the job ended twice."""
    arrive(machine, job(0))
    machine.tick(at(0.2))
    old = world.attempts["j0"]
    machine.closed(0)
    machine.opened(0, at(1))
    machine.committed(world.attempts["j0"], at(1))
    told = list(world.told)
    machine.returned(old, "{}", None, at(1))
    assert world.told == told
    assert machine.running == 1


def test_a_partition_that_goes_starts_nothing_more_but_writes_what_ends(
    machine: Machine, world: World
) -> None:
    arrive(machine, job(0), job(1))
    machine.closing(0)
    assert not machine.takes(0)
    machine.returned(world.attempts["j0"], "{}", None, at())
    arrive(machine, job(2, "other"))
    assert world.told == ["run j0", "write j0 active+completed"]


def test_a_write_that_finds_the_partition_gone_frees_the_slot_and_starts_nothing(
    machine: Machine, world: World
) -> None:
    arrive(machine, job(0), job(1))
    world.is_ours = False
    machine.returned(world.attempts["j0"], "{}", None, at())
    assert (world.told, world.outcomes, machine.running) == (["run j0"], [], 0)


def test_a_handler_that_cancels_itself_has_failed(machine: Machine, world: World) -> None:
    """Nobody was told of it: the job stood in front of its key until the next rebalance."""
    arrive(machine, job(0))
    machine.stopped(world.attempts["j0"], at())
    assert world.told[-1] == "write j0 active+failed+delayed"


def test_a_handler_that_is_cancelled_with_its_partition_is_left_to_the_next_owner(
    machine: Machine, world: World
) -> None:
    arrive(machine, job(0))
    machine.closed(0)
    machine.stopped(world.attempts["j0"], at())
    assert (world.told, machine.running) == (["run j0"], 0)


def test_what_no_record_can_hold_is_a_dead_letter_and_the_next_one_runs(
    machine: Machine, world: World
) -> None:
    world.too_large = {State.COMPLETED}
    arrive(machine, job(0), job(1))
    machine.returned(world.attempts["j0"], "{}", None, at())
    assert world.told == ["run j0", "write j0 active+dead", "run j1"]
    (result,) = world.outcomes
    assert isinstance(result, Dead)
    assert result.failure.error_class == "unrecordable"


def test_a_known_key_is_answered_without_running(machine: Machine, world: World) -> None:
    world.keys[DIGEST] = IdempotencyEntry("first", b"hash", State.COMPLETED, NOW + 1, "r")
    arrive(machine, job(0, idempotency=DIGEST), job(1, idempotency=DIGEST))
    assert world.told == ["write j0 duplicate", "write j1 duplicate"]


def test_a_full_lane_is_held_until_there_is_room(world: World) -> None:
    machine = a_machine(world, slots=1, full=3, room=1)
    arrive(machine, job(0, "a"), job(1, "b"), job(2, "c"))
    assert world.told == ["hold normal", "run j0"]
    machine.returned(world.attempts["j0"], "{}", None, at())
    assert "release normal" not in world.told
    machine.returned(world.attempts["j1"], "{}", None, at())
    assert world.told[-2:] == ["release normal", "run j2"]


def test_progress_is_written_once_per_stage_or_half_second_and_only_when_checked_in(
    machine: Machine, world: World
) -> None:
    arrive(machine, job(0))
    attempt = world.attempts["j0"]
    machine.progressed(attempt, 1, "a", None, at())
    machine.tick(at(0.2))
    told = len(world.told)
    for seconds, stage in ((0.3, "a"), (0.4, "a"), (0.5, "b"), (0.9, "b"), (1.1, "b")):
        machine.progressed(attempt, 2, stage, None, at(seconds))
    assert len(world.told) - told == 3


def test_an_attempt_ends_once(machine: Machine, world: World) -> None:
    arrive(machine, job(0))
    attempt = world.attempts["j0"]
    machine.returned(attempt, "{}", None, at())
    machine.raised(attempt, SLOW, None, at())
    machine.stopped(attempt, at())
    assert world.told == ["run j0", "write j0 active+completed"]
    assert machine.running == 0
