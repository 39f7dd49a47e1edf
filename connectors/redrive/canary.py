"""How far a re-drive may go, given what became of the letters sent so far; pure."""

import math
from typing import Literal

import msgspec

STAGES = (1, 10, 100)
# Below so many that have ended a share says little: one bad letter of three is no bad deploy.
_FEW = 10


class Plan(msgspec.Struct, frozen=True):
    """`stages` are percentages, `tolerated` is the share that may fail again, `patience_s` how long a stage
    may take to be decided, `rate` letters a second (None: as fast as Kafka takes them)."""

    stages: tuple[int, ...] = STAGES
    tolerated: float = 0.1
    patience_s: float = 600.0
    rate: float | None = None

    def __post_init__(self) -> None:
        rising = list(self.stages) == sorted(set(self.stages))
        if not self.stages or not rising or self.stages[0] < 1 or self.stages[-1] != 100:
            raise ValueError("stages are rising percentages that end with 100")
        if not 0 <= self.tolerated <= 1 or (self.rate is not None and not 0 < self.rate <= 100_000):
            raise ValueError("tolerated is 0 to 1, rate is above 0 and at most 100000")


class Tally(msgspec.Struct, frozen=True, rename="camel"):
    """What became of a run's letters. `failing` failed again: dead, or waiting for a retry."""

    total: int = 0
    sent: int = 0
    completed: int = 0
    failing: int = 0
    refused: int = 0

    @property
    def decided(self) -> int:
        """Those that tell something."""
        return self.completed + self.failing

    @property
    def undecided(self) -> int:
        """Sent, and nothing is known yet."""
        return max(0, self.sent - self.decided)


def limits(total: int, stages: tuple[int, ...]) -> list[int]:
    """How many letters may have been tried at the end of each stage."""
    return [math.ceil(total * stage / 100) for stage in stages]


def too_many_fail(tally: Tally, tolerated: float) -> bool:
    """Whether it fails again: the share of the decided ones, or of the first few sent."""
    counted = max(tally.decided, min(tally.sent, _FEW))
    return tally.failing > tolerated * counted


Verdict = Literal["go", "wait", "failing", "undecided"]


def verdict(tally: Tally, plan: Plan, waited_s: float) -> Verdict:
    """What follows the end of a stage: a stage that nobody can judge does not let the next one go."""
    if too_many_fail(tally, plan.tolerated):
        return "failing"
    if tally.undecided == 0:
        return "go"
    return "wait" if waited_s < plan.patience_s else "undecided"
