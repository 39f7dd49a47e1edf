"""The mixes: what happens in a schedule, and how often.

`crash` and the like are rare, so that something has begun when they come.
"""

from itertools import accumulate
from typing import NamedTuple

from ops.simulation.jobs import COMPUTES
from schemas.limits import ProviderLimit

DRAWS = 200


class Mix(NamedTuple):
    """Actions with their weights, added up.

    So large a `share` of the jobs is of one `kind`, on keys of their own. `leased`: the providers' limiters
    are real. `closed`: providers have no room at first. `few`: one job or two. So many actions are drawn.
    """

    names: list[str]
    weights: list[int]
    kind: str | None = None
    share: float = 1.0
    leased: bool = False
    closed: bool = False
    few: bool = False
    draws: int = DRAWS


def _mix(weights: dict[str, int], kind: str | None = None, **more: float) -> Mix:
    return Mix(list(weights), list(accumulate(weights.values())), kind, **more)  # type: ignore[arg-type]


USUAL = {
    "send": 14, "deliver": 16, "seal": 12, "settle": 14, "end": 16, "call": 3, "tick": 6, "pass": 6,
    "progress": 1, "assign": 4, "revoke": 2, "handover": 3, "crash": 2, "restart": 4, "stop": 2, "wake": 4,
    "cut": 1, "mend": 3, "evict": 2, "notice": 3, "jump": 1,
    "drop": 1, "order": 1, "hear": 2, "grant": 2, "cancel": 1, "again": 2,
}  # fmt: skip
CRASHING = USUAL | {"crash": 9, "restart": 10, "assign": 10, "end": 4, "tick": 8, "send": 6}
STOPPING = USUAL | {"stop": 7, "wake": 7, "evict": 8, "cut": 3, "assign": 8, "end": 10}
BUSY = USUAL | {"send": 30, "deliver": 24, "crash": 1, "stop": 1}
SETTING = USUAL | {"jump": 6, "pass": 10, "revoke": 4, "handover": 6}
PAUSING = USUAL | {"order": 6, "hear": 8, "grant": 12, "send": 24, "deliver": 24}
CANCELLING = USUAL | {"cancel": 8, "pass": 10, "tick": 10, "crash": 3, "end": 10, "again": 8}
CLEARING = USUAL | {"clear": 3, "hear": 8, "tick": 10, "again": 6, "send": 20, "deliver": 20, "cancel": 2}
# Only a job that has the worker for itself meets five crashes within one schedule.
ALONE = {
    "send": 8, "deliver": 10, "assign": 22, "restart": 14, "crash": 10, "seal": 14, "settle": 16, "tick": 9,
    "pass": 9, "end": 1,
}  # fmt: skip
# More than one before a provider that has room for one.
GRANTING = USUAL | {"grant": 24, "send": 30, "deliver": 24, "crash": 1, "stop": 1}
# More jobs that compute than processes.
COMPUTING = USUAL | {"send": 30, "deliver": 24, "end": 20, "tick": 10}
# With leases from the real limiters: they fall, providers fail, workers fall.
LEASING = {
    "send": 24, "deliver": 22, "flow": 26, "seal": 26, "settle": 26, "end": 26, "tick": 4, "pass": 10,
    "ask": 3, "post": 3, "read": 3, "limiter": 10, "call": 1, "assign": 3, "restart": 1, "wake": 2, "mend": 2,
    "notice": 1, "hear": 1, "order": 1, "cancel": 1, "evict": 1,
}  # fmt: skip
FAILING = LEASING | {"run": 40, "suffer": 10, "end": 2, "limiter": 5, "deliver": 40, "send": 40}
FALLING = LEASING | {
    "crash": 2, "restart": 4, "stop": 3, "wake": 5, "cut": 2, "mend": 3, "evict": 3, "assign": 9, "drop": 1,
    "revoke": 1, "handover": 2, "jump": 1, "notice": 3,
}  # fmt: skip

MIXES = (
    *map(_mix, (USUAL, CRASHING, STOPPING, BUSY, SETTING, PAUSING, CANCELLING, CLEARING)),
    _mix(ALONE, few=True),
    _mix(GRANTING, "coding-task", closed=True),
    _mix(COMPUTING, COMPUTES, share=0.7),
    _mix(LEASING, leased=True),
    # It takes many calls until a circuit is open and jobs meet it.
    _mix(FAILING, "send-email", leased=True, draws=3 * DRAWS),
    _mix(FALLING, leased=True),
)
# Wide and narrow ones, of both groups.
PROVIDERS = (
    (ProviderLimit("sendgrid", 20, 3, 30, 500), ProviderLimit("agent-cli", 2, 2, 2, 1_000)),
    (ProviderLimit("sendgrid", 2, 1, 2, 1_000), ProviderLimit("agent-cli", 20, 2, 30, 500)),
    (ProviderLimit("sendgrid", 1, 5, 2, 1_000), ProviderLimit("agent-cli", 5, 1, 5, 1_000)),
)
