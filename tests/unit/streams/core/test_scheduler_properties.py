"""The scheduler under random arrivals, outcomes, times and crashes, against a model of the parked table."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

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
LANES = st.sampled_from(list(Lane))
KEYS = st.sampled_from(["a", "a", "b"])
JOBS = st.lists(st.tuples(LANES, KEYS, st.sampled_from([0, 0, 0, 5, 50])), min_size=1, max_size=6)
ANY = st.integers(0, 5)


class PartitionMachine(RuleBasedStateMachine):
    """One partition: its topics (`log`), the table, and what a worker does with the scheduler's answers."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.latest = NOW
        self.table: dict[bytes, Parked] = {}
        self.log: dict[bytes, Entry] = {}  # unfinished source offsets: what a new owner reads again
        self.read: set[bytes] = set()  # those that this owner has read
        self.running: dict[bytes, Entry] = {}
        self.done: set[bytes] = set()
        self.arrived: list[bytes] = []
        self.first_starts: list[bytes] = []
        self.delayed: set[bytes] = set()
        self.retrying: dict[bytes, bytes] = {}

    @initialize(
        slots=st.integers(1, 5), share=st.integers(0, 3), loaded=st.integers(1, 3), page=st.integers(1, 4)
    )
    def open(self, slots: int, share: int, loaded: int, page: int) -> None:
        self.slots = slots
        self.limits = Limits(slots, key_share=share, loaded=loaded, page=page)
        self.new_owner()

    def teardown(self) -> None:
        if hasattr(self, "scheduler"):
            self.drain()

    def new_owner(self) -> None:
        self.ready = Ready(self.slots)
        rows = Rows(MemoryTables(self.table), 0)
        self.scheduler = Scheduler(0, self.ready, rows, Gates(1), self.limits, Counter())

    # -- what the worker's shell does

    def park(self, parks: list[Park]) -> None:
        for park in parks:
            entry = park.entry
            assert entry.step is not None, "what is parked comes from a topic"
            writes = (
                outcome.delayed(entry, self.now, park.due)
                if park.state is State.DELAYED
                else outcome.behind(entry)
            )
            assert not writes.bad
            self.to_table(entry, writes.parked)

    def to_table(self, entry: Entry, parked: Parked | None) -> None:
        if parked is None:
            self.table.pop(entry.position, None)
        else:
            self.table[entry.position] = parked
        self.log.pop(entry.position, None)
        entry.step = None

    def deliver(self, entry: Entry) -> None:
        self.read.add(entry.position)
        self.park(self.scheduler.arrive(entry, self.now))

    def crash(self) -> None:
        """The process dies: what runs is gone, the next owner reads the table and then the topics."""
        for place in self.running.keys() & self.table.keys():
            if self.table[place].holder:
                self.retrying[place[:16]] = place  # it was checked in: nobody knows what it did
        self.running.clear()
        self.read.clear()
        self.log = {
            place: an_entry(
                entry.job.source_offset, entry.lane, ordering_key=entry.job.ordering_key,
                not_before=entry.job.not_before,
            )
            for place, entry in self.log.items()
        }  # fmt: skip
        self.new_owner()
        self.scheduler.due(self.now)

    def unread(self, lane: Lane) -> list[Entry]:
        found = [e for place, e in self.log.items() if e.lane is lane and place not in self.read]
        return sorted(found, key=lambda e: e.job.source_offset)

    # -- what happens

    @rule(jobs=JOBS)
    def produced(self, jobs: list[tuple[Lane, str, int]]) -> None:
        for lane, key, delay in jobs:
            not_before = self.now + delay if delay else None
            entry = an_entry(len(self.arrived), lane, ordering_key=key, not_before=not_before)
            self.arrived.append(entry.position)
            self.log[entry.position] = entry
            if delay:
                self.delayed.add(entry.position)

    @rule(jobs=JOBS)
    def produced_and_fetched(self, jobs: list[tuple[Lane, str, int]]) -> None:
        self.produced(jobs)
        for lane in Lane:
            self.fetched(lane, len(self.arrived))

    @rule(lane=LANES, most=st.integers(1, 6))
    def fetched(self, lane: Lane, most: int) -> None:
        for entry in self.unread(lane)[:most]:
            self.deliver(entry)

    @rule()
    def started(self) -> None:
        while (entry := self.ready.take()) is not None and not self.scheduler.confirm(entry):
            self.ready.free(entry)
        if entry is None:
            return
        assert entry.position not in self.running
        assert entry.position not in self.done
        assert all(other.key != entry.key for other in self.running.values()), "two jobs of one key"
        retried = self.retrying.pop(entry.key, entry.position)
        assert retried == entry.position, "something else of the key ran before its retry"
        due = entry.job.not_before
        assert due is None or due <= self.latest, "a delayed job started early"
        self.running[entry.position] = entry
        if entry.position not in self.first_starts:
            self.first_starts.append(entry.position)

    @rule(which=ANY)
    def checked_in(self, which: int) -> None:
        for entry in self.pick(which):
            self.to_table(entry, outcome.started(entry, self.now).parked)

    @rule(which=ANY)
    def completed(self, which: int) -> None:
        for entry in self.pick(which):
            self.end(entry)

    @rule(which=ANY, pause=st.sampled_from([0, 3, 40]))
    def failed(self, which: int, pause: int) -> None:
        for entry in self.pick(which):
            due = self.now + pause
            self.running.pop(entry.position)
            writes = outcome.retried(entry, FAILURE, due, self.now, self.now)
            assert not writes.bad
            self.to_table(entry, writes.parked)
            self.retrying[entry.key] = entry.position
            self.park(self.scheduler.retry(entry, due))
            self.ready.free(entry)

    @rule(by=st.sampled_from([1, 4, 60]))
    def time_passed(self, by: int) -> None:
        self.now += by
        self.latest = max(self.latest, self.now)

    @rule(by=st.sampled_from([2, 30]))
    def clock_set_back(self, by: int) -> None:
        self.now -= by

    @rule()
    def ticked(self) -> None:
        self.scheduler.due(self.now)

    @rule()
    def crashed(self) -> None:
        self.crash()

    def pick(self, which: int) -> list[Entry]:
        """One of the running jobs, if there is any."""
        return [self.running[place] for place in sorted(self.running)][which % max(1, len(self.running)) :][
            :1
        ]

    def end(self, entry: Entry) -> None:
        self.running.pop(entry.position)
        assert not outcome.completed(entry, outcome.Completed("{}"), self.now, self.now).bad
        self.to_table(entry, None)
        self.done.add(entry.position)
        self.scheduler.finished(entry, self.now)
        self.ready.free(entry)

    # -- what always holds

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        for place in self.arrived:
            places = (place in self.log) + (place in self.table) + (place in self.done)
            assert places == 1

    @invariant()
    def slots_are_counted(self) -> None:
        if hasattr(self, "ready"):
            assert self.ready.running == len(self.running) <= self.slots

    @invariant()
    def a_key_and_lane_starts_in_the_order_of_arrival(self) -> None:
        last: dict[bytes, int] = {}
        for place in self.first_starts:
            if place not in self.delayed:
                row, offset = place[:17], int.from_bytes(place[17:], "big")
                assert last.get(row, -1) < offset, "a later job started first"
                last[row] = offset

    def drain(self) -> None:
        """Whatever happened, everything ends when nothing new comes and time passes."""
        for lane in Lane:
            for entry in self.unread(lane):
                self.deliver(entry)
        for _ in range(2 * len(self.arrived) + 4):
            self.time_passed(100)
            self.scheduler.due(self.now)
            while self.running or self.start_one():
                self.end(next(iter(self.running.values())))
            self.nothing_is_lost_or_doubled()
        self.a_key_and_lane_starts_in_the_order_of_arrival()
        assert self.done == set(self.arrived), "a job never ended"

    def start_one(self) -> bool:
        self.started()
        return bool(self.running)


TestPartition = PartitionMachine.TestCase
TestPartition.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
