"""A worker process: the real machine, and the hands and tables that it has in the simulation.

The hands do what `agents/hands.py` and the engine do, on the model, and check every start and every write.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from ops.simulation.broker import Done
from ops.simulation.jobs import HUGE
from ops.simulation.owned import Execution, Owned, Step, Transaction
from ops.simulation.rules import check_start, check_write
from ops.simulation.violation import Violation
from schemas.priorities import Lane
from schemas.records import DeadLetter, Failure, IdempotencyEntry, Parked
from streams.core.attempt import Attempt
from streams.core.entry import Entry
from streams.core.home import Limits
from streams.core.machine import Machine
from streams.core.outcome import Outcome, Writes
from streams.core.ports import Time, Unwritable

if TYPE_CHECKING:
    from ops.simulation.world import World

# Small, so that every bound is met within a few jobs; the last so wide that none is.
LIMITS = (
    Limits(slots=3, full=4, room=2, key_share=2),
    Limits(slots=1, full=2, room=1, key_share=1),
    Limits(slots=6, full=100, room=50, key_share=100),
)


class Process:
    """One life of a worker: `crash` ends it, and the next one is another object."""

    def __init__(self, name: str, world: "World") -> None:
        self.name, self.world = name, world
        self.machine = Machine(self, self, _half, world.limits)
        self.owned: dict[int, Owned] = {}
        self.executions: list[Execution] = []
        self.checking: dict[Attempt, Owned] = {}
        self.transaction: Transaction | None = None
        self.stopped_at: float | None = None
        self.cut_at: float | None = None

    @property
    def time(self) -> Time:
        """The time of an event here."""
        return Time(self.world.wall, self.world.steady)

    @property
    def is_awake(self) -> bool:
        """Whether it runs at all."""
        return self.stopped_at is None

    # -- the tables, as the machine reads them

    def parked(self, partition: int, prefix: bytes = b"") -> Iterator[tuple[bytes, Parked]]:
        """The rows of this owner, in their order."""
        owned = self.owned.get(partition)
        if owned is None:
            return iter(())
        rows = owned.rows
        return iter([(place, rows[place]) for place in sorted(rows) if place.startswith(prefix)])

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
        check_start(self, owned, record, attempt)
        record.ran_here = True
        owned.running[attempt.entry.key] = record
        owned.begun[attempt.entry.key] = record
        self.executions.append(Execution(attempt, record, owned))
        self.world.note(lambda: f"{self.name} starts {record.name}, attempt {attempt.entry.attempt}")

    def ended(self, attempt: Attempt, result: Outcome) -> None:
        """Nothing is counted here."""

    def letter(self, entry: Entry, failure: Failure, now: int) -> DeadLetter:
        """A dead letter without the parts that the core does not decide."""
        return DeadLetter(
            entry.job.job_id, 2, "", 0, 0, None, None, {}, failure.error_class, failure.message, "", now, now,
            entry.errors[:],
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
        record = owned.source.by_position[entry.position]
        check_write(owned, record, writes)
        row = writes.parked
        if row is not None:
            # Encoded, a row does not change with its entry any more.
            row = msgspec.structs.replace(row, errors=row.errors[:]) if row.errors else row
            owned.rows[entry.position] = row
        elif step is None:
            owned.rows.pop(entry.position, None)
        if writes.idempotency is not None and entry.job.idempotency is not None:
            owned.known[entry.job.idempotency] = writes.idempotency
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
            )
        )
        self.world.note(lambda: _told(self.name, record.name, writes))
        return owned


def _half() -> float:
    return 0.5


def _told(process: str, name: str, writes: Writes) -> str:
    moves = ", ".join(f"{m.number} {m.from_state} -> {m.to_state}" for m in writes.transitions)
    row = writes.parked
    kept = "" if row is None else f"; row {row.state}{', holds its key' if row.holder else ''}"
    return f"{process} writes {name}: {moves or 'no move'}{kept}"
