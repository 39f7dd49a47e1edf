"""A worker process: the real machine, and the hands and tables that it has in the simulation.

The hands do what `agents/hands.py` and the engine do, on the model, and check every start and every write.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from ops.simulation.bounds import check_slot
from ops.simulation.deaths import Deaths
from ops.simulation.jobs import HUGE, KEEPING
from ops.simulation.limits.link import Link
from ops.simulation.owned import Execution, Owned, Step, Transaction
from ops.simulation.records import Done, Record
from ops.simulation.rules import check_call, check_clears, check_grace, check_start, check_turn, check_write
from ops.simulation.violation import Violation
from schemas.commands import cancel_of, is_command
from schemas.priorities import Lane
from schemas.records import Control, DeadLetter, Failure, IdempotencyEntry, Parked
from streams.core.attempt import Attempt
from streams.core.entry import Entry
from streams.core.gates import type_gate
from streams.core.leases import Leases
from streams.core.machine import Machine
from streams.core.outcome import Outcome, Writes, series_key
from streams.core.ports import Time, Unwritable

if TYPE_CHECKING:
    from ops.simulation.stage import Stage


class Process:
    """One life of a worker: `crash` ends it, and the next one is another object."""

    def __init__(self, name: str, world: "Stage") -> None:
        self.name, self.world = name, world
        self.link = _link(name, world)
        leases = None if self.link is None else self.link.leases
        self.machine = Machine(self, self, _half, world.limits, leases)
        self.owned: dict[int, Owned] = {}
        self.executions: list[Execution] = []
        self.checking: dict[Attempt, Owned] = {}
        self.transaction: Transaction | None = None
        self.deaths = Deaths(world.limits.hold)
        self.closed: set[str] = set()
        self.passes: dict[str, int] = {}
        for gate in world.closed:
            self.close_gate(gate)  # the orders are read before the first job
        self.clears: list[Control] = []
        self.hear_clears()
        self.clock_turns = 0
        self.stopped_at: float | None = None
        self.cut_at: float | None = None

    @property
    def time(self) -> Time:
        """The time of an event here."""
        return Time(self.world.wall, self.world.steady)

    @property
    def calls(self) -> bool:
        """Whether any handler of a limited group is under way."""
        return any(execution.call is not None for execution in self.executions)

    def at_work(self) -> list[Entry]:
        """The jobs that run here, or are being checked in."""
        running = [execution.attempt.entry for execution in self.executions]
        return running + [attempt.entry for attempt in self.checking]

    @property
    def is_awake(self) -> bool:
        """Whether it runs at all."""
        return self.stopped_at is None

    # -- gates, as this process knows them

    def close_gate(self, gate: str) -> None:
        """Nothing passes from here on."""
        self.closed.add(gate)
        self.machine.close_gate(gate)

    def open_gate(self, gate: str, room: int | None) -> None:
        """All pass from here on, or so many of those that wait."""
        if room is None:
            self.closed.discard(gate)
        else:
            # Room is for those that wait now: nobody who comes later passes on what they left.
            self.passes[gate] = self.passes.get(gate, 0) + min(room, self.machine.waiting_at(gate))
        self.machine.open_gate(gate, self.time, room)

    def hear_clears(self) -> bool:
        """The clears of which it has not heard yet; whether there were any."""
        coming = self.world.clears[len(self.clears) :]
        self.clears += coming
        for order in coming:
            self.machine.clear(order, self.time)
        return bool(coming)

    # -- the tables, as the machine reads them

    def row(self, partition: int, place: bytes) -> Parked | None:
        """A row of this owner."""
        owned = self.owned.get(partition)
        return None if owned is None else owned.rows.get(place)

    def index(self, partition: int, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The index entries of this owner's rows, in their order."""
        owned = self.owned.get(partition)
        return iter(()) if owned is None else owned.index(start, prefix)

    def known(self, partition: int, key: bytes) -> IdempotencyEntry | None:
        """What this owner knows of a key."""
        owned = self.owned.get(partition)
        return None if owned is None else owned.known.get(key)

    # -- the hands

    def write(self, entry: Entry, writes: Writes) -> None:
        """One step, as `agents/recording.py` fills it."""
        self._write(entry, writes, None)

    def check_in(self, attempt: Attempt, writes: Writes) -> None:
        """One step, and the attempt waits for its transaction."""
        owned = self._write(attempt.entry, writes, attempt)
        if check_turn(self, owned, attempt):
            check_slot(self, attempt.entry)
        if writes.transitions:
            check_clears(self, attempt.entry.job, writes.transitions[0].from_state)
        owned.sent[attempt.entry.job.job_id] = self.world.steady
        self.checking[attempt] = owned

    def run(self, attempt: Attempt) -> None:
        """The handler is under way from here on."""
        owned = self.owned.get(attempt.entry.partition)
        if owned is None:
            raise Violation("only owners start jobs", f"{attempt.entry.job.job_id} on {self.name}")
        record = owned.source.by_position[attempt.entry.position]
        if owned.closed:
            # Cancelled before its first step.
            self.executions.append(Execution(attempt, record, owned, called=True))
            return
        if check_turn(self, owned, attempt):
            check_slot(self, attempt.entry)
        check_start(self, owned, record, attempt)
        if attempt.sent == 0.0:
            check_clears(self, attempt.entry.job, attempt.entry.state)
        record.ran_here = owned.source.owner is owned
        owned.running[attempt.entry.key] = record
        owned.begun[attempt.entry.key] = record
        owned.started.add((record.name, attempt.entry.attempt))
        call = check_call(self, attempt)
        self.executions.append(Execution(attempt, record, owned, call=call))
        self.world.note(lambda: f"{self.name} starts {record.name}, attempt {attempt.entry.attempt}")

    def cancel(self, attempt: Attempt) -> None:
        """The handler hears that it should stop; it may listen or not."""
        for execution in self.executions:
            if execution.attempt is attempt:
                execution.asked_at = self.world.steady

    def stop(self, attempt: Attempt) -> None:
        """Its task is cancelled."""
        for execution in self.executions:
            if execution.attempt is attempt:
                check_grace(self, execution)
                execution.killed = True
                execution.hang_up()

    def ended(self, attempt: Attempt, result: Outcome) -> None:
        """It is counted when it died."""
        kind = attempt.entry.job.type
        self.deaths.ended(kind, result, self.world.steady)
        if type_gate(kind) in self.closed:
            self.deaths.due.discard(kind)

    def hold_type(self, entry: Entry, reason: str) -> None:
        """The order goes to all; here it holds already."""
        kind = entry.job.type
        if kind not in self.deaths.due:
            raise Violation("a type is held when its jobs die", f"{kind}, but {reason}")
        self.deaths.due.discard(kind)
        self.closed.add(type_gate(kind))
        self.world.closed.add(type_gate(kind))
        self.world.note(lambda: f"{self.name} holds {kind}: {reason}")

    def letter(self, entry: Entry, failure: Failure, now: int) -> DeadLetter:
        """A dead letter without the parts that the core does not decide."""
        return DeadLetter(
            entry.job.job_id, 2, "", 0, 0, None, None, {}, failure.error_class, failure.message, "", now, now,
            list(entry.errors),
        )  # fmt: skip

    def hold(self, partition: int, lane: Lane) -> None:
        """Deliver no more of the lane."""
        self.owned[partition].held.add(lane)

    def release(self, partition: int, lane: Lane) -> None:
        """Deliver it again."""
        self.owned[partition].held.discard(lane)

    # -- what becomes of it

    def forget(self, execution: Execution) -> None:
        """A handler is over."""
        self.executions.remove(execution)
        execution.hang_up()
        owned = execution.owned
        if owned.running.get(execution.attempt.entry.key) is execution.record:
            del owned.running[execution.attempt.entry.key]

    def close(self, owned: Owned) -> None:
        """The partition is gone; what waits for a commit hears that it will not come."""
        owned.closed = True
        if self.owned.get(owned.number) is owned:
            self.machine.closed(owned.number)
            del self.owned[owned.number]
        for attempt in [attempt for attempt, its in self.checking.items() if its is owned]:
            del self.checking[attempt]
            self.machine.lost(attempt, self.time)

    def _write(self, entry: Entry, writes: Writes, check_in: Attempt | None) -> Owned:
        step: Step | None = entry.step
        owned = self.owned.get(entry.partition) if step is None else step.owned
        if owned is None or (step is None and owned.closed):
            raise LookupError(f"partition {entry.partition} is not open here")
        if owned.closed:
            return owned
        if entry.job.data == HUGE and writes.carried is not None:
            raise Unwritable("more than a record holds")
        record = owned.source.by_position[entry.position] if step is None else step.record
        check_write(owned, record, writes)
        if step is not None and is_command(entry.job):
            order = cancel_of(entry.job)
            owned.cancels[order.job_id] = order.series
        row = _kept(owned, entry, writes, record)
        if step is not None:
            owned.trackers[record.lane].complete(record.offset, record.offset + 1)
            owned.open_steps[record.lane] -= 1
        owned.done.append(
            Done(
                record,
                row,
                step is None,
                writes.transitions,
                writes.idempotency,
                writes.dead_letter,
                writes.carried,
                check_in,
                entry.job,
                writes.series,
            )
        )
        self.world.note(lambda: _told(self.name, record.name, writes))
        return owned


def _kept(owned: Owned, entry: Entry, writes: Writes, record: Record) -> Parked | None:
    """What the tables hold of the job after these writes: its row, what is known of its key and series."""
    row = writes.parked
    if row is not None:
        # Encoded, a row does not change with its entry any more.
        row = msgspec.structs.replace(row, errors=row.errors[:])
        owned.put(entry.position, row)
        record.limited |= row.gate in KEEPING
        record.stood |= row.gate is not None and row.gate not in KEEPING
        if row.holder:
            owned.begun[entry.key] = record
    elif entry.step is None:
        owned.remove(entry.position)
    if writes.idempotency is not None and entry.job.idempotency is not None:
        owned.known[entry.job.idempotency] = writes.idempotency
    if writes.series is not None:
        owned.known[series_key(entry.job)] = writes.series
    return row


def _link(name: str, world: "Stage") -> Link | None:
    if not world.groups:
        return None
    world.lives += 1
    read = {group: len(its.grants) for group, its in world.groups.items()}
    return Link(name=name, leases=Leases(name, world.lives, list(world.groups)), read=read)


def _half() -> float:
    return 0.5


def _told(process: str, name: str, writes: Writes) -> str:
    moves = ", ".join(f"{m.number} {m.from_state} -> {m.to_state}" for m in writes.transitions)
    row = writes.parked
    kept = "" if row is None else f"; row {row.state}{', holds its key' if row.holder else ''}"
    return f"{process} writes {name}: {moves or 'no move'}{kept}"
