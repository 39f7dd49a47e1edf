"""An action drawn by its name: the arguments that it could have in the world as it stands."""

from random import Random

from ops.simulation.jobs import CLEARABLE, LIMITED, ORDERED
from ops.simulation.world import World
from schemas.priorities import Lane

Action = tuple[object, ...]
# What happens to a limiter: mostly it does its work; it falls, sleeps, is stopped, and comes back.
LIMITER = (
    *(
        "hear",
        "commit",
        "serve",
        "hear",
        "commit",
        "rise",
        "rise",
        "rise",
        "rise",
        "fall",
        "fall+",
        "sleep",
        "haunt",
    ),
    *("stop", "resume", "resume", "reset"),
)
# Which of those that wait a clear is meant for.
STATES = (None, None, "waiting", "delayed")
# Asked for first, as they are drawn most: what has no argument but the worker.
OF_A_WORKER = frozenset({
    "seal", "tick", "restart", "stop", "wake", "cut", "mend", "notice", "hear", "flow", "ask",
})  # fmt: skip
# What becomes of calls at a provider that fails.
LIMITED_GROUPS = ("sendgrid", "agent-cli")
PAINS = ("timeout",) * 12 + ("rate_limited", "refuse", "ok")


def drawn_action(kind: str, world: World, random: Random) -> Action | None:  # noqa: PLR0911, PLR0912 - one case a line
    """Arguments for an action; None when there is nothing that it could be about."""
    draw = random.random
    name = world.names[int(draw() * len(world.names))]
    number = int(draw() * len(world.broker.partitions))
    if kind in OF_A_WORKER:
        return kind, name
    match kind:
        case "send":
            return (kind, len(world.sent)) if len(world.sent) < len(world.plans) else None
        case "cancel":
            return kind, int(draw() * len(world.plans))
        case "again":
            return kind, int(draw() * len(world.plans)), (0, 1, 1, 2)[int(draw() * 4)]
        case "clear":
            return (
                kind,
                *CLEARABLE[int(draw() * len(CLEARABLE))],
                STATES[int(draw() * 4)],
            )
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
        case "post":
            return kind, name, "ok" if draw() < 0.8 else ("lost", "?")[draw() < 0.5]
        case "read":
            return kind, name, 1 + int(draw() * 3)
        case "limiter":
            return (
                kind,
                list(world.groups)[int(draw() * len(world.groups))],
                LIMITER[int(draw() * len(LIMITER))],
            )
        case "run":
            owner = world.names[number]  # mostly: nothing moves them but faults
            return kind, owner, PAINS[int(draw() * len(PAINS))]
        case "suffer":
            execution = _of_handler("call", name, world, random)
            return None if execution is None else ("end", *execution[1:], PAINS[int(draw() * len(PAINS))])
        case "call" | "end" | "progress":
            return _of_handler(kind, name, world, random)
        case "pass":
            return kind, (5, 60, 150, 700, 2_500)[int(draw() * 5)]
        case "jump":
            return kind, (-5_000, 5_000)[draw() < 0.5]
        case "drop":
            return kind, name, number, draw() < 0.5
        case "order":
            return kind, ORDERED[int(draw() * len(ORDERED))]
        case "grant":
            return kind, name, LIMITED[int(draw() * len(LIMITED))], (0, 0, 1, 1, 2, None)[int(draw() * 6)]
        case "assign" | "revoke" | "handover":
            return kind, name, number
    raise AssertionError(kind)


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
    if (execution.owned.closed or execution.killed) and random.random() < 0.6:
        return kind, name, job, "stop"
    how = random.random()
    return (
        kind,
        name,
        job,
        "ok" if how < 0.5 else "fail" if how < 0.85 else "refuse" if how < 0.92 else "timeout",
    )
