"""The order of a key, case by case. The random machine in test_scheduler_properties covers the rest."""

from collections import Counter

import pytest

from schemas.priorities import Lane
from schemas.records import Failure, Parked
from schemas.states import State
from streams.core import outcome
from streams.core.entry import Entry
from streams.core.gates import Gates
from streams.core.limits import Limits
from streams.core.ready import Ready
from streams.core.rows import Rows
from streams.core.scheduler import Park, Scheduler
from tests.unit.streams.core.builders import NOW, MemoryTables, an_entry

FAILURE = Failure("timeout", "too slow", retryable=True)


class Partition:
    """A scheduler and its table."""

    def __init__(self, table: dict[bytes, Parked] | None = None, **limits: int) -> None:
        self.table = {} if table is None else table
        self.limits = Limits(**{"slots": 10, **limits})  # type: ignore[arg-type]
        self.ready, self.gates = Ready(self.limits.slots), Gates(self.limits.at_gate)
        rows = Rows(MemoryTables(self.table), 0)
        self.scheduler = Scheduler(0, self.ready, rows, self.gates, self.limits, Counter())
        self.taken: Entry | None = None

    def arrive(self, *entries: Entry, now: int = NOW) -> None:
        for entry in entries:
            self.park(self.scheduler.arrive(entry, now))

    def park(self, parks: list[Park]) -> None:
        for park in parks:
            holds = park.entry.parked(park.state, holder=False, due=park.due)
            self.table[park.entry.position] = holds
            park.entry.step = None

    def take(self) -> str | None:
        """The id of the job that starts now."""
        while (entry := self.ready.take()) is not None and not self.scheduler.confirm(entry):
            self.ready.free(entry)
        self.taken = entry
        return None if entry is None else entry.job.job_id

    def check_in(self, entry: Entry) -> None:
        parked = outcome.started(entry, NOW).parked
        assert parked is not None
        self.table[entry.position], entry.step = parked, None

    def retry(self, entry: Entry, due: int) -> None:
        parked = outcome.retried(entry, FAILURE, due, NOW, NOW).parked
        assert parked is not None
        self.table[entry.position], entry.step = parked, None
        self.park(self.scheduler.retry(entry, due))
        self.ready.free(entry)

    def finish(self, now: int = NOW) -> None:
        assert self.taken is not None
        self.table.pop(self.taken.position, None)
        self.scheduler.finished(self.taken, now)
        self.ready.free(self.taken)

    def taken_over(self, now: int = NOW) -> "Partition":
        """What a new owner makes of the table."""
        new = Partition(self.table)
        new.scheduler.due(now)
        return new


def test_one_job_of_a_key_runs_at_a_time() -> None:
    p = Partition()
    p.arrive(an_entry(0), an_entry(1))
    assert p.take() == "job-normal-0"
    assert p.ready.take() is None
    p.finish()
    assert p.take() == "job-normal-1"


def test_jobs_of_different_keys_run_side_by_side() -> None:
    p = Partition()
    p.arrive(an_entry(0), an_entry(1, ordering_key="other"))
    assert [p.take(), p.take()] == ["job-normal-0", "job-normal-1"]


def test_an_urgent_job_overtakes_one_of_its_key_that_has_not_started() -> None:
    p = Partition()
    p.arrive(an_entry(0), an_entry(1, Lane.URGENT))
    assert p.take() == "job-urgent-1"
    p.finish()
    assert p.take() == "job-normal-0"


def test_a_retry_holds_its_key_until_it_has_run() -> None:
    p = Partition()
    first = an_entry(0)
    p.arrive(first, an_entry(1))
    p.take()
    p.retry(first, NOW + 10)
    p.arrive(an_entry(2))
    p.scheduler.due(NOW + 9)
    assert p.take() is None
    assert len(p.scheduler) == 1, "only its time stands in memory"
    p.scheduler.due(NOW + 10)
    assert p.take() == "job-normal-0"
    p.finish()
    assert p.take() == "job-normal-1"
    p.finish()
    assert p.take() == "job-normal-2"


def test_an_urgent_job_does_not_overtake_a_retry_that_is_due() -> None:
    p = Partition()
    first = an_entry(0)
    p.arrive(first)
    p.take()
    p.retry(first, NOW + 10)
    p.scheduler.due(NOW + 10)
    p.arrive(an_entry(1, Lane.URGENT), now=NOW + 10)
    assert p.take() == "job-normal-0"


def test_an_urgent_job_does_not_overtake_a_job_that_was_interrupted() -> None:
    p = Partition()
    first = an_entry(0)
    p.arrive(first)
    p.take()
    p.check_in(first)
    new = p.taken_over()
    new.arrive(an_entry(1, Lane.URGENT))
    assert new.take() == "job-normal-0"
    assert new.taken is not None
    assert new.taken.interruptions == 1
    new.finish()
    assert new.take() == "job-urgent-1"


def test_a_delayed_job_waits_without_holding_its_key() -> None:
    p = Partition()
    p.arrive(an_entry(0, not_before=NOW + 5), an_entry(1))
    assert p.take() == "job-normal-1"
    p.finish()
    assert p.take() is None
    p.scheduler.due(NOW + 5)
    assert p.take() == "job-normal-0"


def test_a_job_parked_behind_its_key_keeps_its_turn_when_a_delayed_one_is_due() -> None:
    """The delayed job was taken for the waiting one when its time had come but not yet its tick."""
    p = Partition()
    first = an_entry(1)
    p.arrive(an_entry(0, not_before=NOW + 5), first, an_entry(2))
    p.take()
    p.retry(first, NOW + 1)
    p.scheduler.due(NOW + 1)
    p.take()
    p.finish(NOW + 5)
    assert p.take() == "job-normal-0"
    p.finish(NOW + 5)
    p.arrive(an_entry(3), now=NOW + 5)
    assert p.take() == "job-normal-2"


def test_a_clock_that_is_set_back_leaves_no_due_job_behind() -> None:
    p = Partition()
    first = an_entry(1)
    p.arrive(an_entry(0, not_before=NOW + 5), first)
    p.take()
    p.scheduler.due(NOW + 5)
    p.finish(NOW)
    assert p.take() == "job-normal-0"


@pytest.mark.parametrize("started", [True, False])
def test_jobs_parked_for_want_of_room_do_not_overtake_at_a_take_over(
    started: bool,
) -> None:
    """Those in memory came again from the topic only after the parked one had started."""
    p = Partition(key_share=1)
    p.arrive(an_entry(0))
    if started:
        p.take()
    p.arrive(an_entry(1), an_entry(2))
    new = p.taken_over()
    order = []
    while (name := new.take()) is not None:
        order.append(name)
        new.finish()
    assert order == ["job-normal-0", "job-normal-1", "job-normal-2"]


def test_a_job_in_front_that_was_parked_with_its_row_ends_as_ever() -> None:
    p = Partition(key_share=0)
    p.arrive(an_entry(0))
    p.take()
    p.arrive(an_entry(1))
    assert [entry.state for entry in p.table.values()] == [State.WAITING, State.WAITING]
    p.finish()
    assert p.take() == "job-normal-1"
    p.finish()
    assert p.table == {}
    assert p.take() is None


def test_a_retry_that_is_due_at_the_take_over_runs_first() -> None:
    p = Partition()
    first = an_entry(0)
    p.arrive(first, an_entry(1))
    p.take()
    p.retry(first, NOW + 10)
    new = p.taken_over(NOW + 20)
    assert new.take() == "job-normal-0"
    assert new.taken is not None
    assert (new.taken.attempt, new.taken.interruptions) == (2, 0)


def test_a_closed_partition_starts_nothing() -> None:
    p = Partition()
    p.arrive(an_entry(0), an_entry(1, not_before=NOW + 1))
    p.scheduler.close()
    p.scheduler.due(NOW + 2)
    assert p.take() is None
    assert len(p.scheduler) == 0
