"""A random schedule of a provider's limit from a seed, and how everything comes to rest after it."""

from dataclasses import dataclass, field
from random import Random

from ops.simulation.limits.world import ENDS, GROUP, NAMES, World
from ops.simulation.violation import Violation
from schemas.limits import ProviderLimit

Action = tuple[object, ...]
# Wide and narrow ones; the second refills in the time that a token is good.
LIMITS = (
    ProviderLimit(GROUP, 25, 10, 50, 1_000),
    ProviderLimit(GROUP, 2, 2, 2, 1_000),
    ProviderLimit(GROUP, 20, 3, 30, 500),
    ProviderLimit(GROUP, 1, 5, 10, 5_000),
)
WORK = {
    "want": 4, "flow": 12, "ask": 6, "send": 6, "hear": 5, "commit": 5, "serve": 4, "read": 6, "take": 6,
    "start": 6,
}  # fmt: skip
# How often what happens beside the work: calm, failing calls, dying workers, a moving limiter, a slow one,
# everything.
MIXES: tuple[dict[str, int], ...] = (
    {"pass": 20, "end": 14, "order": 1},
    {"pass": 18, "end": 24, "want": 8, "fall": 3, "rise": 10},
    {"pass": 16, "end": 6, "crash": 1, "restart": 2, "stop": 2, "wake": 2, "cut": 2, "mend": 2},
    {"pass": 18, "end": 10, "fall": 2, "sleep": 1, "haunt": 2, "rise": 6, "order": 1},
    {"pass": 16, "end": 2, "want": 8, "flow": 3, "ask": 16, "send": 16, "hear": 2, "commit": 10, "start": 14},
    {"pass": 18, "end": 10, "order": 1, "fall": 1, "sleep": 1, "haunt": 1, "rise": 4, "crash": 1, "restart":
    2, "stop": 1, "wake": 2, "cut": 1, "mend": 2},
)  # fmt: skip
ACTIONS = 150
PASSES = (3, 20, 20, 60, 150, 400, 1_200, 2_400, 4_000, 12_000, 31_000)
# What calls come to, mostly: a working provider, a failing one, one that is overrun.
TEMPERS = (
    ("ok",) * 8 + ("fail", "none"),
    ("fail",) * 9 + ("ok",),
    ("fail", "fail", "ok"),
    ("ok", "slow", "later", "ok"),
    tuple(ENDS),
)
REST_S = 120.0


@dataclass
class Schedule:
    """The actions of a seed; the last one is the one that failed, if one did."""

    seed: int
    actions: list[Action] = field(default_factory=list)


def drawn(seed: int, notes: list[str] | None = None) -> tuple[Schedule, Violation | None]:
    """Run the schedule of a seed."""
    random, schedule = Random(seed), Schedule(seed)
    world = World(LIMITS[seed % len(LIMITS)], notes)
    weights = {**WORK, **MIXES[seed // len(LIMITS) % len(MIXES)]}
    temper = TEMPERS[random.randrange(len(TEMPERS))]
    kinds = random.choices(list(weights), list(weights.values()), k=ACTIONS)
    try:
        world.do_rise()
        for kind in kinds:
            action = _draw(kind, temper, random)
            schedule.actions.append(action)
            if notes is not None:
                notes.append("  " + " ".join(map(str, action)))
            world.do(action)
        settle(world)
    except Violation as violation:
        return schedule, violation
    except Exception as error:
        return schedule, Violation("the core never raises", f"{type(error).__name__}: {error}")
    return schedule, None


def _draw(kind: str, temper: tuple[str, ...], random: Random) -> Action:  # noqa: PLR0911
    name = NAMES[random.randrange(len(NAMES))]
    match kind:
        case "want":
            return kind, name, random.randrange(3), random.choice((1, 2, 12))
        case "flow":
            return kind, name, random.choice((1, 3, 12))
        case "pass":
            return kind, PASSES[random.randrange(random.choice((5, 9, len(PASSES))))]
        case "send":
            return kind, name, random.choice(("ok",) * 18 + ("lost", "?"))
        case "end":
            return kind, name, random.randrange(10), random.choice(temper)
        case "order":
            return kind, random.choice(("stop", "resume", "resume", "reset"))
        case "hear":
            return kind, random.choice((1, 3, 50))
        case "read":
            return kind, name, random.choice((1, 50))
        case "fall":
            return kind, random.random() < 0.5
        case "serve" | "commit" | "sleep" | "haunt" | "rise":
            return (kind,)
    return kind, name


def settle(world: World) -> None:
    """The faults end: every job gets its call in the end, and no slot or request is left."""
    world.do_order("resume")
    for name in NAMES:
        for heal in (world.do_wake, world.do_mend, world.do_restart):
            heal(name)
    world.do_rise()
    waiting = sum(sum(worker.waiting) + len(worker.taken) for worker in world.workers.values() if worker)
    limit_s = REST_S + waiting / world.limit.per_second
    began = world.now
    while not _is_at_rest(world):
        if world.now - began > limit_s:
            raise Violation("everything comes to rest", _rest(world))
        _round(world)


def _round(world: World) -> None:
    # Nobody waits: time for slots to be free.
    is_quiet = not any(worker is not None and any(worker.waiting) for worker in world.workers.values())
    world.do_pass(900 if is_quiet else 100)
    for name in NAMES:
        world.do_read(name, 1_000)
        while world.do_take(name):
            pass
        while world.do_start(name):
            pass
        world.do_pass(2)
        while world.do_end(name, 0, "ok"):
            pass
        world.do_ask(name)
        while world.do_send(name, "ok"):
            pass
    world.do_hear(1_000)
    world.do_serve()
    world.do_commit()
    alive = {(w.name, w.leases.incarnation) for w in world.workers.values() if w is not None}
    if (
        world.group.owner is not None
        and world.group.owner.limiter.holders.keys() - alive
        and world.now % 5 < 1
    ):
        world.do_want("a", 0, 1)  # slots of the dead are looked at when somebody wants one


def _is_at_rest(world: World) -> bool:
    return not _rest(world)


def _rest(world: World) -> str:
    """What is left, in words."""
    left = []
    for worker in world.workers.values():
        if worker is not None and (any(worker.waiting) or worker.taken or worker.calls):
            left.append(f"{worker.name}: {sum(worker.waiting)} jobs wait")
    owner = world.group.owner
    if owner is None or owner.limiter.slots or owner.limiter.waiting:
        left.append(f"{owner.limiter.slots if owner else 'no'} slots are held")
    return ", ".join(left)
