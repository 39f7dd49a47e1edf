"""How often and when a failed job is tried again: the data. `streams.core.backoff` computes with it."""

from dataclasses import dataclass
from typing import Literal

BackoffKind = Literal["fixed", "linear", "exponential"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` counts the first one. With `jitter` a delay is drawn evenly from 0 to its computed value."""

    kind: BackoffKind
    attempts: int
    delay_ms: int
    max_delay_ms: int
    jitter: bool = True
