"""The invariants that hold at every start of a handler and every write of an owner."""

from typing import TYPE_CHECKING

from ops.simulation.cleared import is_cleared
from ops.simulation.jobs import KINDS, gates_of
from ops.simulation.limits.provider import Call
from ops.simulation.owned import Execution, Owned
from ops.simulation.records import Record
from ops.simulation.violation import Violation
from schemas.records import Job, Transition
from schemas.states import TERMINAL, State
from streams.core.attempt import Attempt
from streams.core.gates import group_gate
from streams.core.outcome import Writes

if TYPE_CHECKING:
    from ops.simulation.process import Process

# The promises, typed again: a core with other values must not move its own yardstick.
VALID_S, INTERRUPTIONS, GRACE_S = 2.0, 5, 5.0


def check_turn(process: "Process", owned: Owned, attempt: Attempt) -> bool:
    """The turn of a job has come: it is checked in, or starts at once. Whether it is the first time."""
    if attempt in owned.turned:
        return False
    owned.turned.add(attempt)
    if attempt.entry.job.type in process.deaths.due:
        raise Violation("a type is held when its jobs die", f"{attempt.entry.job.job_id} goes on")
    for gate in gates_of(attempt.entry.job.type):
        if gate not in process.closed:
            continue
        if process.passes.get(gate, 0) <= 0:
            raise Violation("nothing passes a closed gate", f"{attempt.entry.job.job_id} passes {gate}")
        process.passes[gate] -= 1
    return True


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
    known = None if job.idempotency is None else owned.known.get(job.idempotency)
    if job.idempotency in owned.effects:
        raise Violation("one effect per key", f"{record.name} runs though its key's effect is recorded")
    is_ours = owned.source.owner is owned
    series = entry.job.series
    cancelled = owned.cancels.get(job.job_id, -1)
    if is_ours:
        cancelled = max(cancelled, process.world.broker.cancelled.get(job.job_id, -1))
    # By its id alone a job that ended is told apart only as long as its key remembers it.
    is_known = known is None or known.job_id == job.job_id
    if series <= cancelled and (is_known or not process.world.broker.history.has_ended(job.job_id, series)):
        raise Violation("a cancelled job never starts", record.name)
    if owned.stopping and attempt.sent == 0.0:
        raise Violation("nothing starts on a partition that goes", record.name)
    if KINDS[job.type].check_in:
        _is_checked_in(process, owned, record, attempt)
    if record.interrupted and KINDS[job.type].parks:
        raise Violation("an unknown effect is not repeated", record.name)
    _is_not_dangerous(owned, record, attempt)


def check_clears(process: "Process", job: Job, state: str) -> None:
    """A job that stands in this state is about to start or check in."""
    if any(is_cleared(order, job, state) for order in process.clears):
        raise Violation("a cleared job never starts", job.job_id)


def check_call(process: "Process", attempt: Attempt) -> Call | None:
    """A provider sees the call of a handler that starts, and counts it if it has a limit."""
    limited = [name for name in process.world.groups if group_gate(name) in gates_of(attempt.entry.job.type)]
    if process.link is None or not limited:
        return None
    if attempt.lease is None:
        raise Violation("nobody calls without a lease", attempt.entry.job.job_id)
    call = Call(process.link, attempt.lease, process.world.steady)
    process.world.groups[limited[0]].provider.called(call, process.world.steady)
    return call


def check_grace(process: "Process", execution: Execution) -> None:
    """A handler is about to be killed."""
    if execution.attempt.lease_lost:
        return  # another may soon have its slot at the provider
    asked_at = execution.asked_at
    if asked_at is None or process.world.steady - asked_at < GRACE_S:
        raise Violation("a grace before the kill", execution.record.name)


def _is_not_dangerous(owned: Owned, record: Record, attempt: Attempt) -> None:
    if record.name in owned.suspects:
        row = owned.source.rows.get(record.position)
        if attempt.sent == 0.0 and (row is None or row.state != State.ACTIVE):
            raise Violation("who may have killed its worker checks in", record.name)
        owned.suspects.discard(record.name)
        record.suspect = False
    if record.crashed > INTERRUPTIONS:
        raise Violation("who kills its worker is stopped", f"{record.name} did so {record.crashed} times")
    if record.interrupted >= INTERRUPTIONS:
        raise Violation(
            "interruptions are counted", f"{record.name} was interrupted {record.interrupted} times"
        )


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
            # Those of another queue that was paused may be overtaken.
            and not (earlier.stood and earlier.job.type != record.job.type)
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
    if process.world.steady - owned.proved > VALID_S:
        raise Violation("a check-in is good for 2 s", f"{record.name} starts later")


def check_write(owned: Owned, record: Record, writes: Writes) -> None:
    """An owner completes a step for this job."""
    if writes.bad:
        raise Violation("legal moves", f"{record.name}: {writes.bad}")
    if record.name in owned.ended:
        raise Violation("one end", f"{record.name} is written again after its end")
    for move in writes.transitions:
        _moved(owned, record, move)
    if not writes.transitions and writes.parked is None:
        owned.ended.add(record.name)  # another request for it was first, or it is a command


def _moved(owned: Owned, record: Record, move: Transition) -> None:
    key = record.position[:16]
    if move.to_state == State.FAILED and (record.name, move.attempt) not in owned.started:
        raise Violation("no attempt is used up without a call", f"{record.name}, attempt {move.attempt}")
    if move.to_state in TERMINAL:
        owned.ended.add(record.name)
        if owned.begun.get(key) is record:
            del owned.begun[key]
        if move.to_state == State.COMPLETED and record.job.idempotency is not None:
            owned.effects.add(record.job.idempotency)
    elif move.to_state == State.DELAYED and move.from_state == State.FAILED:
        owned.dues[record.name] = due = move.due or 0
        if due != owned.asked.get(record.name):
            raise Violation("a retry waits as long as it is to", f"{record.name} is due at {due}")
