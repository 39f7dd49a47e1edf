"""A schedule: jobs and a list of actions, drawn from a seed or given; after it everything must come to rest."""

from dataclasses import dataclass
from itertools import accumulate
from random import Random

from ops.simulation.jobs import FAR_MS, Plan, plan
from ops.simulation.violation import Violation
from ops.simulation.world import NAMES, World
from schemas.priorities import Lane

Action = tuple[object, ...]
ROUNDS = 400
DRAWS = 200

# How often each action is drawn. `crash` and the like are rare, so that something has begun when they come.
USUAL = {
    "send": 14, "deliver": 16, "seal": 12, "settle": 14, "end": 16, "call": 3, "tick": 6, "pass": 6,
    "progress": 1, "assign": 4, "revoke": 2, "handover": 3, "crash": 2, "restart": 4, "stop": 2, "wake": 4,
    "cut": 1, "mend": 3, "evict": 2, "notice": 3, "jump": 1,
}  # fmt: skip
CRASHING = USUAL | {"crash": 9, "restart": 10, "assign": 10, "end": 4, "tick": 8, "send": 6}
STOPPING = USUAL | {"stop": 7, "wake": 7, "evict": 8, "cut": 3, "assign": 8, "end": 10}
BUSY = USUAL | {"send": 30, "deliver": 24, "crash": 1, "stop": 1}
PROFILES = [(list(weights), list(accumulate(weights.values()))) for weights in (USUAL, CRASHING, STOPPING, BUSY)]


@dataclass(slots=True)
class Schedule:
    """What a seed stands for."""

    seed: int
    plans: list[Plan]
    partitions: int
    actions: list[Action]


def drawn(seed: int) -> tuple[Schedule, Violation | None]:
    """Draw a schedule while it runs; the violation that it meets, if any."""
    random = Random(seed)
    partitions = 1 + (random.random() < 0.5)
    keys = 1 + int(random.random() * 6)
    plans = [plan(number, partitions, random, keys) for number in range(3 + int(random.random() * 8))]
    world = World(plans, partitions)
    schedule = Schedule(seed, plans, partitions, [])
    names, weights = PROFILES[seed % len(PROFILES)]
    try:
        for number in range(partitions):
            _take(world, schedule, ("assign", NAMES[number], number))
        for kind in random.choices(names, cum_weights=weights, k=DRAWS):
            action = _draw(kind, world, random)
            if action is not None:
                _take(world, schedule, action)
        settle(world)
    except Violation as violation:
        return schedule, violation
    except Exception as error:
        return schedule, Violation("the core never raises", f"{type(error).__name__}: {error}")
    return schedule, None


def replayed(schedule: Schedule, notes: list[str] | None = None) -> Violation | None:
    """Run the actions of a schedule again; what cannot happen is left out."""
    world = World(schedule.plans, schedule.partitions, notes)
    try:
        for action in schedule.actions:
            world.note(lambda a=action: " ".join(str(part) for part in a))  # type: ignore[misc]
            world.do(action)
        world.note(lambda: "everything comes to rest")
        settle(world)
    except Violation as violation:
        return violation
    except Exception as error:
        return Violation("the core never raises", f"{type(error).__name__}: {error}")
    return None


def _take(world: World, schedule: Schedule, action: Action) -> None:
    # Kept before it is done: the last one is the one that fails.
    schedule.actions.append(action)
    if not world.do(action):
        schedule.actions.pop()


def _draw(kind: str, world: World, random: Random) -> Action | None:  # noqa: PLR0911
    """Arguments for an action; None when there is nothing that it could be about."""
    draw = random.random
    name = NAMES[draw() < 0.5]
    number = int(draw() * len(world.broker.partitions))
    match kind:
        case "send":
            return (kind, len(world.sent)) if len(world.sent) < len(world.plans) else None
        case "deliver":
            return kind, name, number, Lane.NORMAL if draw() < 0.6 else Lane(int(draw() * 3)), 1 + int(draw() * 4)
        case "settle":
            return kind, name, "ok" if draw() < 0.85 else "+-"[draw() < 0.5]
        case "crash" | "evict":
            return kind, name, draw() < 0.5
        case "call" | "end" | "progress":
            return _of_handler(kind, name, world, random)
        case "pass":
            return kind, (5, 60, 150, 700, 2_500)[int(draw() * 5)]
        case "jump":
            return kind, (-5_000, 5_000)[draw() < 0.5]
        case "assign" | "revoke" | "handover":
            return kind, name, number
    return kind, name


def _of_handler(kind: str, name: str, world: World, random: Random) -> Action | None:
    process = world.processes[name]
    if process is None or not process.executions:
        return None
    execution = process.executions[int(random.random() * len(process.executions))]
    job = execution.record.name
    if kind == "call":
        return kind, name, job
    if kind == "progress":
        return kind, name, job, f"stage {int(random.random() * 2)}"
    if execution.owned.closed and random.random() < 0.6:
        return kind, name, job, "stop"
    how = random.random()
    return kind, name, job, "ok" if how < 0.5 else "fail" if how < 0.85 else "refuse" if how < 0.92 else "timeout"


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
    waiting = [record.name for record in world.records() if not record.is_over and not _is_far(world, record.job)]
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
        if all(record.is_over or (not far and _is_far(world, record.job)) for record in world.records()) and idle > 2:
            return
        moved = _round(world)
        idle = 0 if moved else idle + 1
        if idle > 12:
            return
        world.do_pass(20 if moved else 150 if idle < 7 else 10_000)
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
        if process is not None and (process.machine.running or process.machine.in_memory or process.machine.size):
            machine = process.machine
            raise Violation(
                "memory is given back",
                f"{name}: {machine.running} running, {machine.in_memory} in memory, {machine.size} keys and timers",
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
