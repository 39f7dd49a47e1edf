"""The invariants that hold at every start of a handler and every write of an owner."""

from typing import TYPE_CHECKING

from ops.simulation.broker import Record
from ops.simulation.jobs import KINDS
from ops.simulation.owned import Owned
from ops.simulation.violation import Violation
from schemas.records import Transition
from schemas.states import TERMINAL, State
from streams.core.attempt import Attempt
from streams.core.outcome import Writes

if TYPE_CHECKING:
    from ops.simulation.process import Process

# The promises, typed again: a core with other values must not move its own yardstick.
VALID_S, INTERRUPTIONS = 2.0, 5


def check_start(process: "Process", owned: Owned, record: Record, attempt: Attempt) -> None:
    """The handler of this job is about to start."""
    job, entry = record.job, attempt.entry
    if record.name in owned.ended:
        raise Violation("one end", f"{record.name} starts again after its end")
    other = owned.running.get(entry.key)
    if other is not None:
        raise Violation("one of a key at a time", f"{record.name} starts while {other.name} runs")
    holder = owned.begun.get(entry.key)
    if holder is not None and holder is not record:
        raise Violation("a job that began holds its key", f"{record.name} starts before {holder.name} ended")
    _in_order(owned, record)
    # What was due once, by any clock, is due for good: also when the clock is set back.
    if owned.dues.get(record.name, job.not_before or 0) > process.world.latest:
        raise Violation("not before it is due", record.name)
    if entry.attempt > job.attempts:
        raise Violation("no attempt too many", f"{record.name} starts attempt {entry.attempt}")
    if job.idempotency is not None and job.idempotency in owned.known:
        raise Violation("one effect per key", f"{record.name} runs though its key's effect is recorded")
    if owned.stopping and attempt.sent == 0.0:
        raise Violation("nothing starts on a partition that goes", record.name)
    if KINDS[job.type].check_in:
        _is_checked_in(process, owned, record, attempt)
    if record.interrupted >= INTERRUPTIONS:
        raise Violation(
            "interruptions are counted", f"{record.name} was interrupted {record.interrupted} times"
        )
    if len(process.executions) + len(process.checking) >= process.world.limits.slots:
        raise Violation("every running job has a slot", f"{len(process.executions)} run already")


def _in_order(owned: Owned, record: Record) -> None:
    if record.job.not_before is not None:
        return
    key = record.position[:16]
    for earlier in owned.source.lanes[record.lane][: record.offset]:
        if (
            earlier.position[:16] == key
            and earlier.job.not_before is None
            and earlier.name not in owned.ended
            and not earlier.is_over
        ):
            raise Violation("in the order accepted", f"{record.name} starts before {earlier.name} ended")


def _is_checked_in(process: "Process", owned: Owned, record: Record, attempt: Attempt) -> None:
    row = owned.source.rows.get(record.position)
    if owned.source.owner is not owned:
        raise Violation("only the owner has effects", f"{process.name} starts {record.name}")
    if row is None or row.state != State.ACTIVE or row.attempt != attempt.entry.attempt:
        raise Violation(
            "checked in before its effect", f"{record.name} starts, {row and row.state} is committed"
        )
    if process.world.steady - owned.sent.get(record.job.job_id, 0.0) > VALID_S:
        raise Violation("a check-in is good for 2 s", f"{record.name} starts later")


def check_write(owned: Owned, record: Record, writes: Writes) -> None:
    """An owner completes a step for this job."""
    if writes.bad:
        raise Violation("legal moves", f"{record.name}: {writes.bad}")
    if record.name in owned.ended:
        raise Violation("one end", f"{record.name} is written again after its end")
    for move in writes.transitions:
        _moved(owned, record, move)


def _moved(owned: Owned, record: Record, move: Transition) -> None:
    key = record.position[:16]
    if move.to_state in TERMINAL:
        owned.ended.add(record.name)
        if owned.begun.get(key) is record:
            del owned.begun[key]
    elif move.to_state == State.DELAYED and move.from_state == State.FAILED:
        owned.dues[record.name] = move.due or 0
