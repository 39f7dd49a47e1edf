"""What a job type promises, and the queue that it belongs to: everything else derives from it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from schemas.errors import ConfigError, UnknownTypeError
from schemas.keys import unknown_members
from schemas.limits import find_group
from schemas.payloads.contract import Contract
from schemas.retry import RetryPolicy
from schemas.tiers import POLICIES, Tier

OnUnknown = Literal["retry", "park"]
# A name is a label of metrics, a word in URLs and part of keys.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
MAX_ATTEMPTS = 10
MAX_TIMEOUT_S = 3_600


@dataclass(frozen=True, slots=True)
class Queue:
    """A family of job types that is paused as one and lives in one tier."""

    name: str
    tier: Tier
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobType:
    """What a job type promises.

    `order` is the template of its ordering key ('' = no order: keyed by job id); a type with an `idempotency`
    template is ordered by that instead, so that two jobs of one key meet. `check_in` commits "attempt n
    runs" before the handler starts, so that a new owner knows that the effect may have happened; it then
    does what `on_unknown` says: run the job again, or park it for a person as a dead letter.
    `public` types may be submitted; the others are made by Tierflow itself. `home` is a queue of its own that
    is declared with it.
    """

    kind: str
    queue: str
    tier: Tier
    contract: type[Contract]
    priority: int
    timeout_s: float
    retry: RetryPolicy
    limit_group: str | None = None
    idempotency: str | None = None
    idempotency_days: int = 7
    order: str = ""
    check_in: bool = False
    public: bool = True
    aliases: tuple[str, ...] = ()
    on_unknown: OnUnknown = "retry"
    home: Queue | None = None


def job_type(
    kind: str,
    contract: type[Contract],
    queue: Queue,
    *,
    priority: int = 5,
    timeout_s: float = 30,
    retry: RetryPolicy | None = None,
    order: str = "",
    idempotency: str | None = None,
    idempotency_days: int = 7,
    limit_group: str | None = None,
    on_unknown: OnUnknown | None = None,
    aliases: tuple[str, ...] = (),
) -> JobType:
    """A type of your own, for `@handles`; `queue` is one of the catalogue's `QUEUES` or your own.

    Give `on_unknown` if the handler has an effect outside of Tierflow: its attempt is then committed before
    it starts, and what becomes of one whose worker died is what you chose. Without `retry` it is the tier's.
    """
    return JobType(
        kind, queue.name, queue.tier, contract, priority, timeout_s, retry or POLICIES[queue.tier].retry,
        limit_group, idempotency, idempotency_days, order, check_in=on_unknown is not None, aliases=aliases,
        on_unknown=on_unknown or "retry", home=queue,
    )  # fmt: skip


def check(declared: JobType) -> None:
    """ConfigError with everything that is wrong with a declaration in itself."""
    wrong = list(_faults(declared))
    if wrong:
        raise ConfigError(f"job type {declared.kind!r}: {'; '.join(wrong)}")


def _faults(declared: JobType) -> Iterator[str]:
    home = declared.home
    for name in (declared.kind, *declared.aliases, declared.queue, *(home.aliases if home else ())):
        if not _NAME.fullmatch(name):
            yield f"{name!r} is no name: use 1 to 100 letters, digits, `-`, `_` or `.`"
    if not 1 <= declared.priority <= 10:
        yield f"priority {declared.priority} is outside 1 to 10"
    if not 0 < declared.timeout_s <= MAX_TIMEOUT_S:
        yield f"timeout_s {declared.timeout_s} is outside 0 to {MAX_TIMEOUT_S}"
    if not 1 <= declared.retry.attempts <= MAX_ATTEMPTS:
        yield f"{declared.retry.attempts} attempts are outside 1 to {MAX_ATTEMPTS}"
    if declared.idempotency_days < 1:
        yield "idempotency_days must be at least 1"
    if declared.on_unknown == "park" and not declared.check_in:
        yield "on_unknown='park' needs the check-in: without it nobody knows that an attempt was interrupted"
    if declared.limit_group is not None:
        try:
            find_group(declared.limit_group)
        except UnknownTypeError as error:
            yield f"limit_group: {error}"
    members = declared.contract.members()
    for what, template in (("idempotency", declared.idempotency), ("order", declared.order)):
        if template is not None and (what == "idempotency" or template):
            yield from (f"{what}: {fault}" for fault in _template_faults(template, members))


def _template_faults(template: str, members: frozenset[str]) -> Iterator[str]:
    if "{" not in template:
        yield f"{template!r} names no member, so that all jobs would share one key"
    for unknown in unknown_members(template, members):
        yield f"{unknown} (members: {', '.join(sorted(members))})"
