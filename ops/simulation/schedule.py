"""A schedule: jobs and a list of actions, drawn from a seed or given; then everything must come to rest."""

from dataclasses import dataclass
from itertools import accumulate
from random import Random

from ops.simulation.jobs import Plan, plan
from ops.simulation.process import LIMITS
from ops.simulation.rest import settle
from ops.simulation.violation import Violation
from ops.simulation.world import NAMES, World
from schemas.priorities import Lane
from streams.core.home import Limits

Action = tuple[object, ...]
DRAWS = 200

# How often each action is drawn. `crash` and the like are rare, so that something has begun when they come.
USUAL = {
    "send": 14, "deliver": 16, "seal": 12, "settle": 14, "end": 16, "call": 3, "tick": 6, "pass": 6,
    "progress": 1, "assign": 4, "revoke": 2, "handover": 3, "crash": 2, "restart": 4, "stop": 2, "wake": 4,
    "cut": 1, "mend": 3, "evict": 2, "notice": 3, "jump": 1,
    "drop": 1,
}  # fmt: skip
CRASHING = USUAL | {"crash": 9, "restart": 10, "assign": 10, "end": 4, "tick": 8, "send": 6}
STOPPING = USUAL | {"stop": 7, "wake": 7, "evict": 8, "cut": 3, "assign": 8, "end": 10}
BUSY = USUAL | {"send": 30, "deliver": 24, "crash": 1, "stop": 1}
SETTING = USUAL | {"jump": 6, "pass": 10, "revoke": 4, "handover": 6}


def _profile(weights: dict[str, int]) -> tuple[list[str], list[int]]:
    return list(weights), list(accumulate(weights.values()))


ALONE = _profile(
    {"send": 8, "deliver": 10, "assign": 22, "restart": 14, "crash": 10, "seal": 14, "settle": 16, "tick": 9,
     "pass": 9, "end": 1}
)  # fmt: skip
PROFILES = [*map(_profile, (USUAL, CRASHING, STOPPING, BUSY, SETTING)), ALONE]


@dataclass(slots=True)
class Schedule:
    """What a seed stands for."""

    seed: int
    plans: list[Plan]
    partitions: int
    limits: Limits
    actions: list[Action]


def drawn(seed: int) -> tuple[Schedule, Violation | None]:
    """Draw a schedule while it runs; the violation that it meets, if any."""
    random = Random(seed)
    partitions = 1 + (random.random() < 0.5)
    keys = 1 + int(random.random() * 6)
    names, weights = profile = PROFILES[seed % len(PROFILES)]
    # Only a job that has the worker for itself meets five crashes within one schedule.
    count = 1 + (random.random() < 0.5) if profile is ALONE else 3 + int(random.random() * 8)
    plans = [plan(number, partitions, random, keys) for number in range(count)]
    world = World(plans, partitions, LIMITS[seed // len(PROFILES) % len(LIMITS)])
    schedule = Schedule(seed, plans, partitions, world.limits, [])
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
    world = World(schedule.plans, schedule.partitions, schedule.limits, notes)
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
            return (
                kind,
                name,
                number,
                Lane.NORMAL if draw() < 0.6 else Lane(int(draw() * 3)),
                1 + int(draw() * 4),
            )
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
        case "drop":
            return kind, name, number, draw() < 0.5
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
    return (
        kind,
        name,
        job,
        "ok" if how < 0.5 else "fail" if how < 0.85 else "refuse" if how < 0.92 else "timeout",
    )
