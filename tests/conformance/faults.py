"""Fault plans: what happens to which process when, drawn from a seed."""

import random
from dataclasses import dataclass
from typing import Literal

Fault = Literal["kill", "stop", "term", "broker"]
SCENARIOS = ("kill", "stop", "roll", "mix", "broker")


@dataclass(frozen=True)
class Planned:
    """A fault and its second of the run."""

    at_s: float
    fault: Fault


def plan(scenario: str, seed: int, span_s: float) -> list[Planned]:
    """The faults of one run that takes about `span_s`, in order of time."""
    dice = random.Random(f"{scenario} {seed}")
    early = 3.0
    planned: list[Planned] = []
    if scenario == "broker":
        planned += [Planned(dice.uniform(early, span_s / 2), "broker")]
    if scenario in ("kill", "mix"):
        count = 4 if span_s > 15 else 2
        planned += [Planned(dice.uniform(early, span_s), "kill") for _ in range(count)]
    if scenario in ("stop", "mix"):
        planned += [Planned(dice.uniform(early, early + span_s / 4), "stop")]
    if scenario == "stop" and span_s > 15:
        planned += [Planned(dice.uniform(10, 14), "stop")]
    if scenario in ("roll", "mix"):
        count = 2 if scenario == "mix" else (6 if span_s > 15 else 3)
        planned += [Planned(early + 3 * number + dice.random(), "term") for number in range(count)]
    return sorted(planned, key=lambda entry: entry.at_s)
