"""The providers' limits: how many requests a group of jobs may make, all workers together.

In every window of W seconds attempts start that make at most `burst + per_second * W` requests, and at most
`concurrent` run at once.
"""

from dataclasses import dataclass

from schemas.errors import UnknownTypeError

# A granted token may be used so long after it was asked for; the bucket is smaller by what it refills
# meanwhile.
TOKEN_VALID_S = 0.5


@dataclass(frozen=True, slots=True)
class ProviderLimit:
    """One group; it stays closed `cooldown_ms` at least after a 429. `members` are other names for it.

    An attempt makes at most so many `requests`, one after the other. `per_second` and `burst` count requests.
    """

    group: str
    per_second: float
    concurrent: int
    burst: int
    cooldown_ms: int
    members: tuple[str, ...] = ()
    requests: int = 1

    def __post_init__(self) -> None:
        if not (self.per_second > 0 and self.concurrent > 0 and self.cooldown_ms >= 0):
            raise ValueError("per_second and concurrent must be above 0, cooldown_ms not below")
        if self.requests < 1:
            raise ValueError("an attempt makes at least 1 of the requests")
        if self.capacity < 1:
            least = self.requests + self.per_second * TOKEN_VALID_S
            raise ValueError(
                f"burst must be at least {least:g} ({self.requests} + per_second * {TOKEN_VALID_S:g}), not"
                f" {self.burst}: a token may be used {TOKEN_VALID_S:g} s after it was granted"
            )

    @property
    def attempts_per_second(self) -> float:
        """Tokens that come in a second: an attempt needs one."""
        return self.per_second / self.requests

    @property
    def capacity(self) -> float:
        """Tokens in a full bucket: the burst, less what may be under way as granted tokens."""
        return (self.burst - self.per_second * TOKEN_VALID_S) / self.requests


GROUPS = {
    limit.group: limit
    for limit in (
        ProviderLimit(
            "stripe", 25, 10, 50, 1_000, ("stripe-charges", "stripe-refunds", "stripe-payouts"),
            requests=2,  # a payment is created, then confirmed
        ),
        ProviderLimit("square", 8, 5, 20, 2_000),
        ProviderLimit(
            "sendgrid", 5, 20, 100, 1_000, ("sendgrid-transactional", "sendgrid-marketing")
        ),
        ProviderLimit("twilio", 1, 5, 10, 5_000, ("twilio-sms", "twilio-voice", "twilio-verify")),
        ProviderLimit("solana", 10, 5, 30, 1_000),
        ProviderLimit("quickbooks", 2, 3, 10, 3_000),
        ProviderLimit("internal", 100, 50, 200, 100),
        ProviderLimit("push", 50, 20, 100, 1_000),
        ProviderLimit("agent-cli", 2, 2, 2, 1_000),
    )
}  # fmt: skip
_BY_NAME = {name: limit.group for limit in GROUPS.values() for name in (limit.group, *limit.members)}


def find_group(name: str) -> str:
    """The group of a provider's or a member's name."""
    if name not in _BY_NAME:
        raise UnknownTypeError.of(
            "service", f"unknown provider {name!r}; known: {', '.join(sorted(_BY_NAME))}"
        )
    return _BY_NAME[name]
