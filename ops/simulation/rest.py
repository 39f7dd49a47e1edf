"""The end of every schedule: no more faults, everything comes to rest, and what must hold then."""

from ops.simulation.jobs import FAR_MS
from ops.simulation.violation import Violation
from ops.simulation.world import NAMES, World
from schemas.priorities import Lane

ROUNDS = 400


def settle(world: World) -> None:
    """No more faults: every process is well again, and all jobs must come to their end."""
    for number in range(len(world.plans)):
        world.do_send(number)
    for name in NAMES:
        world.do_restart(name)
        world.do_wake(name)
        world.do_mend(name)
        world.do_notice(name)
    _until_rest(world, far=False)
    waiting = [
        record.name for record in world.records() if not record.is_over and not _is_far(world, record.job)
    ]
    if waiting:
        raise Violation("everything ends", f"{', '.join(waiting)} waits for ever")
    world.do_pass(2 * FAR_MS)
    _until_rest(world, far=True)
    _at_rest(world)


def _is_far(world: World, job: object) -> bool:
    return (getattr(job, "not_before", None) or 0) > world.wall


def _until_rest(world: World, *, far: bool) -> None:
    """Go on until nothing moves, also after as long as any retry waits."""
    idle = 0
    for _ in range(ROUNDS):
        if (
            all(record.is_over or (not far and _is_far(world, record.job)) for record in world.records())
            and idle > 2
        ):
            return
        moved = _round(world)
        idle = 0 if moved else idle + 1
        if idle > 12:
            return
        world.do_pass(20 if moved else 150 if idle < 7 else 60_000)
    raise Violation("everything comes to rest", f"still moving after {ROUNDS} rounds")


def _round(world: World) -> bool:
    moved = False
    for number in range(len(world.broker.partitions)):
        moved |= world.do_assign(NAMES[number], number)
    for name in NAMES:
        process = world.processes[name]
        assert process is not None
        moved |= _work(world, name)
    return moved


def _work(world: World, name: str) -> bool:
    process = world.processes[name]
    assert process is not None
    moved = False
    for number in list(process.owned):
        for lane in Lane:
            moved |= world.do_deliver(name, number, lane, 2)
    for execution in list(process.executions):
        moved |= world.do_end(name, execution.record.name, "stop" if execution.owned.closed else "ok")
    moved |= world.do_seal(name)
    moved |= world.do_settle(name, "ok")
    for number in [number for number, owned in process.owned.items() if owned.stopping]:
        moved |= world.do_handover(name, number)
    world.do_tick(name)
    return moved


def _at_rest(world: World) -> None:
    """What must hold when nothing is left to do."""
    for record in world.records():
        if not record.is_over:
            raise Violation("everything ends", f"{record.name} is {record.state}")
    for partition in world.broker.partitions:
        if partition.rows:
            raise Violation("nothing lost, nothing left", f"{len(partition.rows)} rows are left")
    for name, process in world.processes.items():
        if process is not None and (
            process.machine.running or process.machine.in_memory or process.machine.size
        ):
            machine = process.machine
            raise Violation(
                "memory is given back",
                f"{name}: {machine.running} running, {machine.in_memory} in memory, {machine.size} in order",
            )
    _ended_in_order(world)


def _ended_in_order(world: World) -> None:
    for partition in world.broker.partitions:
        for log in partition.lanes:
            last: dict[bytes, tuple[int, str]] = {}
            for record in log:
                if record.job.not_before is not None:
                    continue
                before = last.get(record.position[:16])
                if before is not None and before[0] > record.ended:
                    raise Violation("in the order accepted", f"{record.name} ended before {before[1]}")
                last[record.position[:16]] = (record.ended, record.name)
