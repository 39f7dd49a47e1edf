"""The invariants of a worker's slots, processes and memory."""

from typing import TYPE_CHECKING

from ops.simulation.jobs import COMPUTES, KEEPING
from ops.simulation.violation import Violation
from schemas.priorities import Lane
from streams.core.entry import Entry

if TYPE_CHECKING:
    from ops.simulation.process import Process

# The promises, typed again: a core with other values must not move its own yardstick.
SHARES = (1.0, 0.9, 0.7)
LONG_S, BEHIND, LONG_AT_LATEST_S = 0.1, 3, 1.0


def check_slot(process: "Process", entry: Entry) -> None:
    """The turn of a job has come: there is a slot for it, and a process if it computes."""
    limits, at_work = process.world.limits, [entry, *process.at_work()]
    for lane in range(entry.lane + 1):
        most = max(1, int(limits.slots * SHARES[lane]))
        if sum(one.lane >= lane for one in at_work) > most:
            rule = "a slot is left for what is more urgent" if lane else "every running job has a slot"
            raise Violation(rule, f"{entry.job.job_id} of lane {entry.lane.label}, {most} run already")
    if entry.job.type == COMPUTES:
        computing = sum(one.job.type == COMPUTES for one in at_work)
        if computing > limits.processes:
            raise Violation("never more that compute than processes", f"{computing} of {limits.processes}")


def check_bounds(process: "Process", behind_s: float) -> None:
    """Its clock has come round: only jobs at work hold slots, memory is bounded, long jobs hold up nobody."""
    running = process.machine.running
    at_work = len(process.executions) + len(process.checking)
    if running != at_work:
        raise Violation("a slot is held by a job at work", f"{running} slots, {at_work} at work")
    _memory(process, running)
    long_s = min(LONG_S + BEHIND * behind_s, LONG_AT_LATEST_S)
    for execution in process.executions:
        attempt = execution.attempt
        lasts_s = process.world.steady - attempt.since
        if lasts_s > long_s and attempt.entry.step is not None and not (attempt.home.gone or attempt.over):
            raise Violation("a long job lets its offset go", f"{execution.record.name}, {lasts_s:.3f} s")


def _memory(process: "Process", running: int) -> None:
    """What a worker holds in memory is bounded, whatever waits."""
    machine, limits, homes = process.machine, process.world.limits, len(process.owned)
    size = machine.size
    if not size:
        return  # nothing at any gate, either
    for gate in KEEPING:
        if machine.waiting_at(gate) > limits.at_gate:
            raise Violation("memory is bounded", f"{machine.waiting_at(gate)} wait at {gate}")
    for gate in process.closed.difference(KEEPING):
        if machine.waiting_at(gate):
            raise Violation("memory is bounded", f"{machine.waiting_at(gate)} wait at {gate}")
    in_front = 4 * homes * limits.loaded + len(KEEPING) * limits.at_gate + running
    most = in_front + homes * len(Lane) * 2 * limits.page
    if size > most and size > most + machine.in_memory:
        raise Violation("memory is bounded", f"{size} keys, times and jobs at gates, {most} at most")
