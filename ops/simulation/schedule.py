"""A schedule: jobs and a list of actions, drawn from a seed or given; then everything must come to rest."""

from dataclasses import dataclass, replace
from random import Random

from ops.simulation.draws import Action, drawn_action
from ops.simulation.jobs import LIMITED, Plan, plan, planned_as, which_compute
from ops.simulation.mixes import MIXES, PROVIDERS, Mix
from ops.simulation.rest import settle
from ops.simulation.sizes import LIMITS, with_processes
from ops.simulation.stage import NAMES
from ops.simulation.violation import Violation
from ops.simulation.world import World
from schemas.limits import ProviderLimit
from streams.core.blast import HoldRule
from streams.core.limits import Limits

# So many keys have jobs of both groups.
LEAST_KEYS = 3
# A circuit opens after five failures: they need attempts.
LEASED_ATTEMPTS = 3
# In so many schedules of all mixes some jobs compute.
COMPUTE_SHARE = 0.3
# In so many a type is held when two of three jobs of it have died.
HOLD_SHARE, HOLD = 0.3, HoldRule(0.5, 3, 60.0)


@dataclass(slots=True)
class Schedule:
    """What a seed stands for."""

    seed: int
    plans: list[Plan]
    partitions: int
    limits: Limits
    actions: list[Action]
    providers: tuple[ProviderLimit, ...] = ()


def _plans(mix: Mix, partitions: int, random: Random) -> list[Plan]:
    """The jobs of a schedule."""
    keys = 1 + int(random.random() * 6)
    count = 1 + (random.random() < 0.5) if mix.few else 3 + int(random.random() * 8)
    keys = max(keys, LEAST_KEYS) if mix.leased else keys
    plans = [plan(number, partitions, random, keys) for number in range(count)]
    if random.random() < COMPUTE_SHARE:
        plans = which_compute(plans, partitions, random)
    if mix.kind is not None:
        kind, share = mix.kind, mix.share
        plans = [planned_as(kind, p, partitions) if random.random() < share else p for p in plans]
    return [planned._replace(attempts=LEASED_ATTEMPTS) for planned in plans] if mix.leased else plans


def _drawn_up(seed: int, random: Random) -> tuple[Schedule, Mix]:
    """What a seed stands for, before anything happens."""
    mix, rest = MIXES[seed % len(MIXES)], seed // len(MIXES)
    partitions = 1 + (random.random() < 0.5)
    plans = _plans(mix, partitions, random)
    limits = with_processes(LIMITS[rest % len(LIMITS)], plans)
    if random.random() < HOLD_SHARE:
        limits = replace(limits, hold=HOLD)
    providers = PROVIDERS[rest // len(LIMITS) % len(PROVIDERS)] if mix.leased else ()
    return Schedule(seed, plans, partitions, limits, [], providers), mix


def drawn(seed: int) -> tuple[Schedule, Violation | None]:
    """Draw a schedule while it runs; the violation that it meets, if any."""
    random = Random(seed)
    schedule, mix = _drawn_up(seed, random)
    world = World(schedule.plans, schedule.partitions, schedule.limits, providers=schedule.providers)
    try:
        _begin(world, schedule, mix)
        for kind in random.choices(mix.names, cum_weights=mix.weights, k=mix.draws):
            action = drawn_action(kind, world, random)
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
    world = World(schedule.plans, schedule.partitions, schedule.limits, notes, schedule.providers)
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


def _begin(world: World, schedule: Schedule, mix: Mix) -> None:
    for number in range(schedule.partitions):
        _take(world, schedule, ("assign", NAMES[number], number))
    for gate in LIMITED if mix.closed else ():
        for name in world.names:
            _take(world, schedule, ("grant", name, gate, 0))
    for provider in schedule.providers:
        _take(world, schedule, ("limiter", provider.group, "rise"))


def _take(world: World, schedule: Schedule, action: Action) -> None:
    # Kept before it is done: the last one is the one that fails.
    schedule.actions.append(action)
    if not world.do(action):
        schedule.actions.pop()
