"""The worker's decisions as one machine: events with their time go in, `Hands` carries out what follows.

Pure: no clock, no I/O, no task; the same events in the same order do the same. The way of a job: `arrived` ->
`Scheduler` -> `Ready` -> answered, or checked in (`committed`) and run -> `returned` or `raised` -> written.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from schemas.priorities import Lane
from schemas.records import Failure
from schemas.states import State
from streams.core import attempt as rules
from streams.core import outcome
from streams.core.attempt import Attempt
from streams.core.backoff import Dead, Random, Retry, after_failure
from streams.core.entry import Entry
from streams.core.home import Home, Limits
from streams.core.outcome import Completed, Outcome, Writes
from streams.core.ports import Hands, Tables, Time, Unwritable
from streams.core.ready import Ready
from streams.core.scheduler import Park, Scheduler

MESSAGE_KEPT = 2_000
OPENED_AT_ONCE = 1_000


class Machine:
    """One tier's jobs on the partitions that this process owns. Every event is one method."""

    def __init__(self, hands: Hands, tables: Tables, random: Random, limits: Limits) -> None:
        self._hands, self._tables, self._random, self._limits = hands, tables, random, limits
        self._ready = Ready(limits.slots)
        self._homes: dict[int, Home] = {}
        # Those that were started lately, oldest first: the ones that may become long-running.
        self._recent: deque[Attempt] = deque()

    @property
    def running(self) -> int:
        """Attempts under way."""
        return self._ready.running

    @property
    def in_memory(self) -> int:
        """Jobs read and not yet ended or parked."""
        return sum(sum(home.in_memory) for home in self._homes.values())

    @property
    def size(self) -> int:
        """Keys and times held in memory."""
        return sum(len(home.scheduler) for home in self._homes.values())

    def takes(self, partition: int) -> bool:
        """Whether records of this partition are of use here."""
        home = self._homes.get(partition)
        return home is not None and not home.closing

    # -- ownership

    def opened(self, partition: int, time: Time) -> int:
        """The partition is ours: take over what the last owner left in the table; how many jobs that is."""
        return deque(self.opening(partition, time), maxlen=1)[0]

    def opening(self, partition: int, time: Time) -> Iterator[int]:
        """The same in pieces, for a table that takes seconds to read; the last number is the total.

        Nothing of the partition may happen before the iterator has ended.
        """
        scheduler = Scheduler(
            partition, self._ready, lambda prefix: self._tables.parked(partition, prefix),
            self._limits.key_share,
        )  # fmt: skip
        self.closed(partition)
        found = 0
        for place, parked in self._tables.parked(partition):
            scheduler.restore(place, parked)
            found += 1
            if found % OPENED_AT_ONCE == 0:
                yield found
        self._homes[partition] = Home(partition, scheduler, self._limits, self._hands.release)
        scheduler.settle(time.wall)
        self._start(time)
        yield found

    def closing(self, partition: int) -> None:
        """It will go: start nothing more of it; what runs may end and is written."""
        home = self._homes.get(partition)
        if home is not None:
            home.close()

    def closed(self, partition: int) -> None:
        """It is gone: the next owner decides about what still runs here."""
        home = self._homes.pop(partition, None)
        if home is not None:
            home.lose()

    # -- jobs

    def arrived(self, partition: int, lane: Lane, entries: Iterable[Entry], time: Time) -> None:
        """Jobs came from a lane, in their order; each with its open step."""
        home = self._homes.get(partition)
        if home is None:
            return
        for entry in entries:
            if home.closing:
                return  # the next owner reads them again
            home.took(entry)
            self._park(home, home.scheduler.arrive(entry, time.wall), time)
        if home.is_full(lane):
            self._hands.hold(partition, lane)
        self._start(time)

    def tick(self, time: Time) -> None:
        """Time has passed: what is due takes its turn, what runs for long lets its offset go."""
        for home in self._homes.values():
            due = home.scheduler.next_due
            if due is not None and due <= time.wall:
                home.scheduler.due(time.wall)
        recent = self._recent
        while recent and (recent[0].over or rules.is_long(recent[0], time)):
            self._let_go(recent.popleft())
        self._start(time)

    # -- attempts

    def committed(self, attempt: Attempt, time: Time) -> None:
        """Its check-in is committed: it may start, if that is not too long ago."""
        if attempt.over or attempt.home.gone:
            self._leave(attempt)
        elif rules.is_valid(attempt, time):
            self._run(attempt, time)
        else:
            self._check_in(attempt, time)
        self._start(time)

    def lost(self, attempt: Attempt, time: Time) -> None:
        """Its check-in never was committed: the partition is another's."""
        attempt.home.lose()
        self._leave(attempt)
        self._start(time)

    def returned(self, attempt: Attempt, result: str, carried: Any, time: Time) -> None:
        """The handler returned a JSON text; what it carries goes out with it."""
        self._end(attempt, Completed(result, carried), time)
        self._start(time)

    def raised(self, attempt: Attempt, failure: Failure, retry_after_s: float | None, time: Time) -> None:
        """The handler failed; a provider may have asked for a pause."""
        entry = attempt.entry
        result = after_failure(entry.job, entry.attempt, failure, time.wall, self._random, retry_after_s)
        self._end(attempt, result, time)
        self._start(time)

    def stopped(self, attempt: Attempt, time: Time) -> None:
        """The handler was cancelled: with its partition, or by itself, which is a failure like any other."""
        if attempt.home.closing:
            self._leave(attempt)
            self._start(time)
        else:
            self.raised(attempt, Failure("stopped", "the handler was cancelled", retryable=True), None, time)

    def progressed(
        self, attempt: Attempt, percentage: int, stage: str | None, message: str | None, time: Time
    ) -> None:
        """The handler says how far it is."""
        if attempt.over or not rules.may_report(attempt, stage, time):
            return
        attempt.stage, attempt.said_at = stage, time.steady
        entry = attempt.entry
        self._write(attempt.home, entry, outcome.progressed(entry, time.wall, percentage, stage, message))

    # -- decisions

    def _start(self, time: Time) -> None:
        """Everything that is ready and has a slot."""
        while (entry := self._ready.take()) is not None:
            attempt = Attempt(entry, self._homes[entry.partition], time.wall)
            key = entry.job.idempotency
            known = None if key is None else self._tables.known(entry.partition, key)
            result = rules.answer(entry, known, time.wall)
            if result is not None:
                self._end(attempt, result, time)
            elif rules.must_check_in(entry):
                self._check_in(attempt, time)
            else:
                self._run(attempt, time)

    def _check_in(self, attempt: Attempt, time: Time) -> None:
        """Write that it runs, before it can have an effect: the commit proves that the job is ours."""
        attempt.sent = time.steady
        try:
            self._hands.check_in(attempt, outcome.started(attempt.entry, time.wall))
        except LookupError:
            attempt.home.lose()
            self._leave(attempt)
        else:
            self._wrote(attempt.home, attempt.entry)

    def _run(self, attempt: Attempt, time: Time) -> None:
        attempt.ran, attempt.since = True, time.steady
        self._recent.append(attempt)
        self._hands.run(attempt)

    def _let_go(self, attempt: Attempt) -> None:
        # Its step may be gone without this: a job in front of parked ones stands in the table with them.
        if not attempt.over and attempt.entry.state is not State.ACTIVE:
            self._write(attempt.home, attempt.entry, outcome.started(attempt.entry, attempt.began))

    def _end(self, attempt: Attempt, result: Outcome, time: Time) -> None:
        """Write the outcome, give the slot back, and let the next of the key take its turn."""
        home = attempt.home
        try:
            if not attempt.over and not home.gone:
                result = self._record(attempt, result, time)
                if not home.gone:
                    self._hands.ended(attempt, result)
                if not home.closing:
                    self._follow(home, attempt.entry, result, time)
        finally:
            self._leave(attempt)

    def _record(self, attempt: Attempt, result: Outcome, time: Time) -> Outcome:
        """What was written: the outcome, or a dead letter when no record can hold it.

        Without that the job would stand in front of its key for ever, here and at the next owner.
        """
        entry = attempt.entry
        before = entry.state, entry.number, entry.attempt, entry.errors[:]
        try:
            self._write(attempt.home, entry, rules.writes_of(attempt, result, time.wall, self._hands))
        except Unwritable as error:
            entry.state, entry.number, entry.attempt, entry.errors = before
            result = Dead(Failure("unrecordable", str(error)[:MESSAGE_KEPT], retryable=False))
            self._write(attempt.home, entry, rules.writes_of(attempt, result, time.wall, self._hands))
        return result

    def _follow(self, home: Home, entry: Entry, result: Outcome, time: Time) -> None:
        if isinstance(result, Retry):
            self._park(home, home.scheduler.retry(entry, result.due), time)
        else:
            home.scheduler.finished(entry, time.wall)

    def _park(self, home: Home, parks: list[Park], time: Time) -> None:
        for park in parks:
            entry = park.entry
            if park.state is State.DELAYED:
                self._write(home, entry, outcome.delayed(entry, time.wall, park.due))
            else:
                self._write(home, entry, outcome.behind(entry))

    def _write(self, home: Home, entry: Entry, writes: Writes) -> None:
        """Nothing is written for a partition that is gone."""
        if home.gone:
            return
        try:
            self._hands.write(entry, writes)
        except LookupError:
            home.lose()
        else:
            self._wrote(home, entry)

    def _wrote(self, home: Home, entry: Entry) -> None:
        entry.step = None
        home.left(entry)

    def _leave(self, attempt: Attempt) -> None:
        """The attempt is over: its slot is free. Once."""
        if not attempt.over:
            attempt.over = True
            self._ready.free(attempt.entry)
