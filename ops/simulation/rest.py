"""The end of every schedule: no more faults, everything comes to rest, and what must hold then."""

from collections.abc import Collection, Iterator

from ops.simulation.cleared import is_cleared
from ops.simulation.jobs import COMPUTES, FAR_MS, LIMITED, gates_of
from ops.simulation.violation import Violation
from ops.simulation.world import World
from schemas.priorities import Lane
from schemas.states import State
from streams.core.cancels import mark_place

ROUNDS = 400
LANES = tuple(Lane)


def settle(world: World) -> None:
    """No more faults: every process is well again, and all jobs must come to their end."""
    for number in range(len(world.plans)):
        world.do_send(number)
    for name in world.names:
        world.do_restart(name)
        world.do_wake(name)
        world.do_mend(name)
        world.do_notice(name)
        world.do_hear(name)
    closed = set[str]().union(
        *(process.closed for process in world.processes.values() if process is not None)
    )
    if world.groups:
        closed.update(LIMITED)
        for group in world.groups.values():
            group.fall(world.steady, committed=True)
    if closed:
        _with_closed_gates(world, closed)
    if world.limits.slots > world.limits.processes > 0:
        _while_others_compute(world)
    _until_rest(world, far=False)
    _nobody_waits(world, set(), "everything ends")
    _nobody_cleared_waits(world)
    world.do_pass(2 * FAR_MS)
    _until_rest(world, far=True)
    _at_rest(world)


def _with_closed_gates(world: World, closed: set[str]) -> None:
    """While gates are closed everywhere, all else goes on; then they are opened."""
    for name in world.names:
        for gate in closed.intersection(LIMITED):
            world.do_grant(name, gate, 0)
    _until_rest(world, far=False, resumes=False)
    closed = closed | world.closed
    _nobody_waits(world, closed, "what no closed gate stops goes on")
    _no_offset_is_held(world)
    _all_resumed(world)
    for group in world.groups.values():
        group.order("resume", world.steady)
        group.rise(world.steady)
    for name in world.names:
        for gate in LIMITED:
            world.do_grant(name, gate, None)


def _while_others_compute(world: World) -> None:
    """What computes goes on and on: all that does not compute ends meanwhile; then that may end, too."""
    world.computes_on = True
    _until_rest(world, far=False)
    computing = {r.position[:16] for r in world.records() if not r.is_over and r.job.type == COMPUTES}
    _nobody_waits(world, set(), "what computes stops no other job", computing)
    _no_offset_is_held(world)
    world.computes_on = False


def _nobody_waits(world: World, closed: set[str], rule: str, held: Collection[bytes] = frozenset()) -> None:
    stopped = {*_stopped_keys(world, closed), *held}
    waiting = [
        record.name
        for record in world.records()
        if not record.is_over
        and not _is_far(world, record.job)
        and not closed.intersection(gates_of(record.job.type))
        and record.position[:16] not in stopped
    ]
    if waiting:
        raise Violation(rule, f"{', '.join(waiting)} waits for ever")


def _no_offset_is_held(world: World) -> None:
    """What is left has waited, or run, for minutes: all of it stands in the table, and no offset is open."""
    for name, process in world.processes.items():
        for owned in process.owned.values() if process is not None else ():
            if any(owned.open_steps):
                raise Violation("who waits for long holds no offset", f"{name}: {owned.open_steps} by lane")


def _nobody_cleared_waits(world: World) -> None:
    """What is not due for long is all that waits now; of that nothing that was cleared."""
    for _ in range(len(world.clears) + 2 if world.clears else 0):
        _round(world)  # one clear after the other goes through the table
    for record in world.records():
        if not record.is_over and any(is_cleared(o, record.job, record.state) for o in world.clears):
            raise Violation("what is cleared ends at once", f"{record.name} is still {record.state}")


def _stopped_keys(world: World, closed: set[str]) -> Iterator[bytes]:
    """Keys that a job at a closed gate holds: one that began, or one that waits for a provider."""
    for record in world.records():
        if not record.is_over and closed.intersection(LIMITED, gates_of(record.job.type)):
            yield record.position[:16]
    for partition in world.broker.partitions:
        for place, row in partition.rows.items():
            began = row.attempt > 1 or row.interruptions > 0 or partition.by_position[place].limited
            if began and row.gate in closed:
                yield place[:16]


def _is_far(world: World, job: object) -> bool:
    return (getattr(job, "not_before", None) or 0) > world.wall


def _until_rest(world: World, *, far: bool, resumes: bool = True) -> None:
    """Go on until nothing moves, also after as long as any retry waits.

    Somebody `resumes` what workers hold, as often as they do.
    """
    idle = 0
    for _ in range(ROUNDS):
        if (
            all(record.is_over or (not far and _is_far(world, record.job)) for record in world.records())
            and idle > 2
        ):
            return
        if resumes and world.closed:
            _all_resumed(world)
        moved = _round(world)
        idle = 0 if moved else idle + 1
        if idle > 12:
            return
        world.do_pass(20 if moved else 150 if idle < 7 else 60_000)
    raise Violation("everything comes to rest", f"still moving after {ROUNDS} rounds")


def _all_resumed(world: World) -> None:
    world.closed.clear()
    for name in world.names:
        world.do_hear(name)


def _round(world: World) -> bool:
    moved = False
    for number in range(len(world.broker.partitions)):
        moved |= world.do_assign(world.names[number], number)
    for name in world.names:
        process = world.processes[name]
        assert process is not None
        moved |= _work(world, name)
    return moved


def _work(world: World, name: str) -> bool:
    process = world.processes[name]
    assert process is not None
    moved = False
    for number in list(process.owned):
        for lane in LANES:
            moved |= world.do_deliver(name, number, lane, 2)
    for execution in list(process.executions):
        is_stopped = execution.owned.closed or execution.killed
        if world.computes_on and execution.record.job.type == COMPUTES and not is_stopped:
            continue
        moved |= world.do_end(name, execution.record.name, "stop" if is_stopped else "ok")
    moved |= world.do_seal(name)
    moved |= world.do_settle(name, "ok")
    for number in [number for number, owned in process.owned.items() if owned.stopping]:
        moved |= world.do_handover(name, number)
    world.do_tick(name)
    return world.flow(name) or moved


def _at_rest(world: World) -> None:
    """What must hold when nothing is left to do."""
    for record in world.records():
        if not record.is_over:
            raise Violation("everything ends", f"{record.name} is {record.state}")
    for partition in world.broker.partitions:
        left = [place for place in partition.rows if not _is_late_cancel(world, place)]
        if left:
            raise Violation("nothing lost, nothing left", f"{len(left)} rows are left")
    for name, process in world.processes.items():
        if process is not None and (
            process.machine.running or process.machine.in_memory or process.machine.size
        ):
            machine = process.machine
            raise Violation(
                "memory is given back",
                f"{name}: {machine.running} running, {machine.in_memory} in memory, {machine.size} in order",
            )
    _no_slot_is_left(world)
    _ended_in_order(world)


def _no_slot_is_left(world: World) -> None:
    links = [p.link for p in world.processes.values() if p is not None and p.link is not None]
    for group in world.groups.values():
        for link in links:
            holders = {} if group.owner is None else group.owner.limiter.holders
            holder = holders.get((link.name, link.leases.incarnation))
            if holder is not None and holder.slots:
                raise Violation("slots are given back", f"{link.name} holds {holder.slots}")


def _is_late_cancel(world: World, place: bytes) -> bool:
    """A cancel that came after its job had ended otherwise: it stays until the lane has forgotten the job."""
    ended = (r for r in world.records() if r.state != State.CANCELLED or world.clears)
    return any(mark_place(record.job.job_id) == place for record in ended)


def _ended_in_order(world: World) -> None:
    for partition in world.broker.partitions:
        for log in partition.lanes:
            last: dict[tuple[bytes, str], tuple[int, str]] = {}
            for record in log:
                if record.job.not_before is not None or record.state == State.CANCELLED:
                    continue
                # Of two queues one may be paused: in order are then the jobs of each.
                turn = record.position[:16], record.job.type if record.stood else ""
                before = last.get(turn)
                if before is not None and before[0] > record.ended:
                    raise Violation("in the order accepted", f"{record.name} ended before {before[1]}")
                last[turn] = (record.ended, record.name)
