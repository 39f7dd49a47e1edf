"""What happens to what, when: drawn from a seed, so that a run can be done again."""

import random
from dataclasses import dataclass
from typing import Literal

Kind = Literal["kill", "stop", "restart", "cut", "slow", "provider", "fill", "effect"]

ROLES = ("router", "worker-1", "worker-2", "worker-3", "sink", "gateway", "limiter", "monitor")
SERVICES = ("postgres", "valkey")
LINKS = ("postgres-link", "valkey-link")
DISKS = ("postgres-disk", "valkey-disk", "worker-2-disk")
# How often each is killed; Faust needs its session time-out and more to come back.
NAIVE = {"naive-sink": 10, "naive-worker": 25}
# Beyond the session time-out of a group (6 s): what wakes up then has been replaced.
STOPPED_S = (7.0, 12.0)
AWAY_S = (1.0, 8.0)
FULL_S = (3.0, 12.0)
QUIET_START_S = 2.0


@dataclass(frozen=True, order=True)
class Fault:
    """`kill` is SIGKILL, `stop` SIGSTOP for `for_s`, `restart` SIGTERM, `cut` and `slow` act on a link,
    `provider` lets the provider fail, be slow, or lose its answer after the effect, `fill` leaves no room on
    a disk, `effect` is SIGKILL between an effect at the provider and its record."""

    at_s: float
    kind: Kind
    target: str
    for_s: float = 0.0

    def __str__(self) -> str:
        """As it stands in the log."""
        lasting = f" for {self.for_s:.1f} s" if self.for_s else ""
        return f"{self.at_s:6.1f} s  {self.kind} {self.target}{lasting}"


def plan(seed: int, count: int, span_s: float, brokers: int, *, wide: bool = False) -> list[Fault]:
    """`count` faults spread over `span_s`, in order of time, some of them a rolling restart of all roles.

    `wide`: disks, links to the brokers, effects and a slow provider, too; a seed is another plan then.
    The naive peers are killed besides, every few seconds: what they do wrong proves that the count sees it.
    """
    dice = random.Random(seed)
    kafka = tuple(f"kafka-{number}" for number in range(1, brokers + 1))
    faults: list[Fault] = []
    while len(faults) < count:
        at = dice.uniform(QUIET_START_S, span_s)
        if dice.random() < 0.02 and count - len(faults) >= len(ROLES):
            faults += [Fault(at + 2.0 * number, "restart", role) for number, role in enumerate(ROLES)]
        else:
            faults.append(_wide(dice, at, kafka) if wide and dice.random() < 0.5 else _one(dice, at, kafka))
    naive = [
        Fault(at + dice.random(), "kill", peer)
        for peer, every_s in NAIVE.items()
        # A long run is to let them work in between also where a process needs ten seconds to start.
        for at in range(5, round(span_s), 2 * every_s if wide else every_s)
    ]
    return sorted(faults + naive)


def _wide(dice: random.Random, at: float, kafka: tuple[str, ...]) -> Fault:
    match dice.choices(("disk", "link", "effect", "slow"), (3, 3, 3, 1))[0]:
        case "disk":
            target = dice.choice((*DISKS, f"{dice.choice(kafka)}-disk"))
            return Fault(at, "fill", target, dice.uniform(*FULL_S))
        case "link":
            kind: Kind = dice.choice(("cut", "slow"))
            return Fault(at, kind, f"{dice.choice(kafka)}-link", dice.uniform(*AWAY_S))
        case "effect":
            return Fault(at, "effect", "worker-1")
        case _:
            return Fault(at, "provider", "late")


def _one(dice: random.Random, at: float, kafka: tuple[str, ...]) -> Fault:
    match dice.choices(("role", "service", "link", "kafka", "provider"), (10, 3, 3, 2, 2))[0]:
        case "role":
            target = dice.choice(ROLES)
        case "service":
            target = dice.choice(SERVICES)
        case "kafka":
            target = dice.choice(kafka)
        case "link":
            kind: Kind = dice.choice(("cut", "slow"))
            return Fault(at, kind, dice.choice(LINKS), dice.uniform(*AWAY_S))
        case _:
            return Fault(at, "provider", dice.choice(("lost", "500", "503", "429", "refuse")))
    if dice.random() < 0.3:
        return Fault(at, "stop", target, dice.uniform(*STOPPED_S))
    return Fault(at, "kill" if dice.random() < 0.8 else "restart", target)
