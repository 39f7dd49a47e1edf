"""The worker's decisions as one machine: events with their time go in, `Hands` carries out what follows.

Pure: no clock, no I/O, no task; the same events in the same order do the same. The way of a job: `Intake` ->
`Scheduler` -> `Ready` -> `Turns`: answered (`Known`, `Cancelling`), at a gate (`Standing`), or checked in and
run (`Lasting`) -> `Endings`. All of them write through `Writing`.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from schemas.priorities import Lane
from schemas.records import Control, Failure, LimitGrant, LimitRequest
from streams.core.attempt import Attempt
from streams.core.backoff import Random
from streams.core.blast import Deaths
from streams.core.cancelling import Cancelling
from streams.core.endings import Endings
from streams.core.entry import Entry
from streams.core.gates import Gates, group_gate
from streams.core.home import Home
from streams.core.intake import Intake
from streams.core.known import Known
from streams.core.lasting import Lasting
from streams.core.leases import Leases
from streams.core.limited import Limited
from streams.core.limits import Limits
from streams.core.places import Places
from streams.core.ports import Hands, Tables, Time
from streams.core.ready import Ready
from streams.core.rows import Rows
from streams.core.scheduler import Scheduler
from streams.core.standing import Standing
from streams.core.turns import Turns
from streams.core.writing import Writing


class Machine:
    """One tier's jobs on the partitions that this process owns. Every event is one method."""

    def __init__(
        self, hands: Hands, tables: Tables, random: Random, limits: Limits, leases: Leases | None = None
    ) -> None:
        self._hands, self._tables, self._limits = hands, tables, limits
        self.caps: Counter[str] = Counter()
        """How often a bound was reached: of a key, a provider's gate, a lane, the process."""
        self._homes: dict[int, Home] = {}
        self._ready, self._gates = Ready(limits.slots), Gates(limits.at_gate, limits.in_process)
        places, known = Places(limits.processes, limits.in_process, self._gates), Known(tables)
        self._limited = Limited(leases, self._gates, places)
        writing = Writing(hands, known)
        self._cancelling = Cancelling(hands, known, writing.write)
        self._intake = Intake(hands, known, writing, self._cancelling, self.caps)
        self._standing = Standing(self._gates, self._ready, writing, self._homes, self.caps)
        self._lasting = Lasting(writing)
        self._endings = Endings(
            hands, writing, random, self._ready, self._gates, self._limited, self._cancelling,
            Deaths(limits.hold),
        )  # fmt: skip
        self._turns = Turns(
            hands, self._homes, self._ready, self._gates, known, writing, self._limited, self._cancelling,
            self._standing, self._lasting, self._endings, places,
        )  # fmt: skip

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
        """Keys, times and jobs at gates held in memory."""
        return sum(len(home.scheduler) for home in self._homes.values()) + len(self._gates)

    # -- ownership

    def takes(self, partition: int) -> bool:
        """Whether records of this partition are of use here."""
        home = self._homes.get(partition)
        return home is not None and not home.closing

    def opened(self, partition: int, time: Time, *, left_open: bool = False) -> None:
        """The partition is ours. What the last owner left in the table is taken in bit by bit.

        `left_open`: it died at work. One of the first jobs may be the cause, so they all check in.
        """
        self.closed(partition)
        rows = Rows(self._tables, partition)
        scheduler = Scheduler(partition, self._ready, rows, self._gates, self._limits, self.caps)
        self._homes[partition] = home = Home(partition, scheduler, rows, self._limits, self._hands.release)
        home.suspects = self._limits.suspects if left_open else 0
        self._cancelling.opened(home, time)
        scheduler.due(time.wall)
        self._turns.start(time)

    def suspects(self, partition: int) -> bool:
        """Whether a job of it may still be met that killed an owner: the next one has to be as careful."""
        home = self._homes.get(partition)
        return home is not None and home.suspects > 0

    def closing(self, partition: int) -> None:
        """It will go: start nothing more of it; what runs may end and is written."""
        if partition in self._homes:
            self._homes[partition].close()

    def closed(self, partition: int) -> None:
        """It is gone: the next owner decides about what still runs here."""
        home = self._homes.pop(partition, None)
        if home is not None:
            home.lose()

    # -- jobs and time

    def arrived(self, partition: int, lane: Lane, entries: Iterable[Entry], time: Time) -> None:
        """Jobs came from a lane, in their order; each with its open step."""
        if partition in self._homes:
            self._intake.take(self._homes[partition], lane, entries, time)
            self._turns.start(time)

    def tick(self, time: Time, behind_s: float = 0.0) -> None:
        """Time has passed: what is due takes its turn, what runs for long lets its offset go.

        `behind_s`: how late this event comes, because other work was before it.
        """
        for home in self._homes.values():
            if not home.closing:
                home.scheduler.due(time.wall)
        self._lasting.tick(time, behind_s)
        self._standing.tick(time)
        self._cancelling.tick(self._homes.values(), time)
        for attempt in self._limited.lost(time):
            self._hands.stop(attempt)
        self._turns.start(time)
        self.caps["process"] += self._ready.is_full

    # -- orders, gates and limits

    def clear(self, order: Control, time: Time) -> None:
        """End the waiting jobs that an order means, here and whenever one is met."""
        self._cancelling.clear(order, self._homes.values(), time)
        self._turns.start(time)

    def close_gate(self, name: str) -> None:
        """No job starts that has to pass this gate; those that run go on."""
        self._gates.closed.add(name)

    def open_gate(self, name: str, time: Time, room: int | None = None) -> None:
        """Who waits there may go on; with `room` only so many, and the gate stays as it is."""
        if room is None:
            self._gates.closed.discard(name)
        self._standing.go_on(name, room)
        self._turns.start(time)

    def waiting_at(self, gate: str) -> int:
        """How many wait at a provider's gate in memory; others may stand in the table."""
        return self._gates.waiting(gate)

    def requests(self, time: Time) -> list[LimitRequest]:
        """What the limiter is to hear now."""
        return self._limited.requests(self._limits.slots - self._ready.running, time)

    def granted(self, grant: LimitGrant, time: Time) -> None:
        """The limiter's answer: so many jobs of the group may start."""
        room = self._limited.granted(grant, time)
        if room:
            self.open_gate(group_gate(grant.group), time, room)

    # -- attempts

    def committed(self, attempt: Attempt, time: Time) -> None:
        """Its check-in is committed: it may start, if that is not too long ago."""
        self._turns.checked_in(attempt, time)
        self._turns.start(time)

    def lost(self, attempt: Attempt, time: Time) -> None:
        """Its check-in never was committed: the partition is another's."""
        attempt.home.lose()
        self._endings.leave(attempt)
        self._turns.start(time)

    def returned(self, attempt: Attempt, result: str, carried: Any, time: Time) -> None:
        """The handler returned a JSON text; what it carries goes out with it."""
        self._endings.completed(attempt, result, carried, time)
        self._turns.start(time)

    def raised(self, attempt: Attempt, failure: Failure, retry_after_s: float | None, time: Time) -> None:
        """The handler failed; a provider may have asked for a pause."""
        self._endings.failed(attempt, failure, retry_after_s, time)
        self._turns.start(time)

    def stopped(self, attempt: Attempt, time: Time) -> None:
        """The handler was cancelled: with its partition, or by itself, which is a failure like any other."""
        self._endings.stopped(attempt, time)
        self._turns.start(time)

    def progressed(
        self, attempt: Attempt, percentage: int, stage: str | None, message: str | None, time: Time
    ) -> None:
        """The handler says how far it is."""
        self._lasting.progressed(attempt, percentage, stage, message, time)
