"""What a worker holds of the providers' limits: tokens to use at once, and slots while its calls run.

Pure; the other end of `limiter.py`. Every request states the whole of what is held, so a lost request or
grant costs time, never a call too many:
- a token is good until `USABLE_S` after its request was *sent*, by this worker's clock that goes on while
  it is stopped: a late grant is stale on arrival, and a token that waited too long is given back, not used;
- a grant counts once: none that answers a request up to `seen` is taken, and `seen` is what the limiter is
  told;
- slots are ours as long as Kafka takes our requests. When it has taken none for `CANCEL_S`, the calls are
  to be cancelled before the limiter may give their slots to others.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.limits import TOKEN_VALID_S
from schemas.records import LimitGrant, LimitRequest, Probe
from streams.core.limiter import SLOT_S

# The rest of the half second is for the way from here to the provider.
USABLE_S = TOKEN_VALID_S - 0.1
CANCEL_S = SLOT_S - 1.5
ASK_EVERY_S = 0.05
ASK_AGAIN_S = 0.25
RENEW_EVERY_S = 2.5
NO_WANTS = (0, 0, 0)


@dataclass(slots=True, eq=False)
class Lease:
    """One token and its slot. `until` is in steady seconds; `probe` is 0 or the number of a probe."""

    group: str
    until: float
    probe: int = 0
    over: bool = False

    def is_good(self, now: float) -> bool:
        """Whether a call may still start on it."""
        return now <= self.until


@dataclass(frozen=True, slots=True)
class CallEnd:
    """What a call says of its provider. `succeeded` None: nothing (it never started, or failed on our side).

    `pause_ms` is there when the provider asked for a pause (429): what its `Retry-After` says, or 0.
    """

    succeeded: bool | None = None
    pause_ms: int | None = None


@dataclass(slots=True)
class Group:
    """One provider group as this worker knows it. Times are steady seconds."""

    number: int = 0
    seen: int = 0
    sent: dict[int, float] = field(default_factory=dict)
    """When each request was sent that may still be answered, or whose delivery is not known."""
    tokens: list[Lease] = field(default_factory=list)
    running: dict[Lease, None] = field(default_factory=dict)
    outcomes: list[bool] = field(default_factory=list)
    pause_ms: int | None = None
    probe: Probe | None = None
    changed: bool = False
    """Whether the limiter should hear of something soon."""
    asked_at: float = float("-inf")
    answered: bool = True
    confirmed: float = float("inf")
    """When the latest request was sent of which Kafka, or the limiter, said that it has it."""
    waits_since: float | None = None
    heard_at: float | None = None
    state: str = ""


class Leases:
    """The leases of one process. `incarnation` is another one at every start."""

    def __init__(self, worker: str, incarnation: int, groups: Collection[str]) -> None:
        self.worker, self.incarnation = worker, incarnation
        self._groups = {name: Group() for name in groups}

    @property
    def groups(self) -> Collection[str]:
        """The limited groups."""
        return self._groups.keys()

    def is_limited(self, group: str | None) -> bool:
        """Whether calls of this group need a lease."""
        return group in self._groups

    # -- calls

    def take(self, group: str, now: float) -> Lease | None:
        """A lease on which a call may start; None when there is none yet."""
        at = self._groups[group]
        self._drop_stale(at, now)
        if not at.tokens:
            return None
        lease = at.tokens.pop(0)
        at.running[lease] = None
        return lease

    def unspent(self, group: str, now: float) -> int:
        """How many leases `take` would give."""
        at = self._groups[group]
        self._drop_stale(at, now)
        return len(at.tokens)

    def release(self, lease: Lease, end: CallEnd) -> None:
        """The call has ended, or never started. Once per lease."""
        if lease.over:
            return
        lease.over = True
        at = self._groups[lease.group]
        del at.running[lease]
        at.changed = True
        if end.pause_ms is not None:
            at.pause_ms = max(end.pause_ms, at.pause_ms or 0)
        if lease.probe:
            at.probe = None if end.succeeded is None else Probe(lease.probe, end.succeeded)
        elif end.succeeded is not None:
            at.outcomes.append(end.succeeded)

    def lost(self, now: float) -> list[Lease]:
        """Calls whose slots may soon be another's: to be cancelled."""
        return [
            lease
            for at in self._groups.values()
            if at.running and now - at.confirmed > CANCEL_S
            for lease in at.running
        ]

    # -- what goes to the limiter

    def requests(self, demand: Mapping[str, Sequence[int]], now: float) -> list[LimitRequest]:
        """What is to be sent now; `demand` counts the jobs that wait for a token, by group and lane."""
        return [
            self._request(name, at, demand.get(name, NO_WANTS), now)
            for name, at in self._groups.items()
            if self._is_due(at, any(demand.get(name, NO_WANTS)), now)
        ]

    def delivered(self, group: str, number: int) -> None:
        """Kafka has the request: the slots stated in it are ours."""
        at = self._groups[group]
        sent = at.sent.get(number)
        if sent is not None:
            self._confirm(at, sent)

    def undelivered(self, request: LimitRequest) -> None:
        """Kafka may not have the request: what it told is told again."""
        at = self._groups[request.group]
        at.changed = at.answered = True
        at.outcomes[:0] = request.outcomes
        if request.pause_ms is not None:
            at.pause_ms = max(request.pause_ms, at.pause_ms or 0)
        if at.probe is None and request.probe is not None and request.probe.succeeded is not None:
            at.probe = request.probe

    # -- what comes from the limiter

    def granted(self, grant: LimitGrant, now: float) -> bool:
        """Whether the grant is ours and brought tokens that are still good."""
        if (grant.worker, grant.incarnation) != (self.worker, self.incarnation):
            return False
        at = self._groups.get(grant.group)
        if at is None:
            return False
        if grant.number <= at.seen:
            at.changed = at.changed or grant.tokens > 0
            return False
        at.heard_at, at.state, at.answered = now, grant.state, True
        sent = at.sent.get(grant.number)
        at.seen = grant.number
        self._forget_sent(at, now)
        if sent is None or now > sent + USABLE_S:
            at.changed = True
            return False
        if not at.tokens and not at.running:
            at.confirmed = sent
        self._confirm(at, sent)
        for _ in range(grant.tokens):
            at.tokens.append(Lease(grant.group, sent + USABLE_S, grant.probe))
        if grant.probe:
            at.probe = Probe(grant.probe)
        return grant.tokens > 0

    def silent_for(self, now: float) -> dict[str, float]:
        """Groups in which jobs wait, and for how many seconds the limiter has said nothing of them."""
        return {
            name: now - max(at.waits_since, at.heard_at or at.waits_since)
            for name, at in self._groups.items()
            if at.waits_since is not None
        }

    def state(self, group: str) -> str:
        """What the limiter said last of the group."""
        return self._groups[group].state

    # -- inside

    def _is_due(self, at: Group, wanting: bool, now: float) -> bool:
        self._drop_stale(at, now)
        if not wanting:
            at.waits_since = None
        elif at.waits_since is None:
            at.waits_since, at.heard_at = now, None
        since = now - at.asked_at
        if since < ASK_EVERY_S:
            return False
        if not at.answered and since > USABLE_S:
            # What it may have been granted is never used now, and the limiter is to know it.
            at.answered = at.changed = True
        if at.changed or (wanting and (at.answered or since >= ASK_AGAIN_S)):
            return True
        return bool(at.tokens or at.running) and since >= RENEW_EVERY_S

    def _request(self, name: str, at: Group, wants: Sequence[int], now: float) -> LimitRequest:
        self._forget_sent(at, now)
        at.number += 1
        request = LimitRequest(
            name, self.worker, self.incarnation, at.number, at.seen, len(at.tokens) + len(at.running),
            list(wants), at.outcomes, at.pause_ms, at.probe,
        )  # fmt: skip
        at.sent[at.number] = at.asked_at = now
        at.outcomes, at.pause_ms, at.changed = [], None, False
        at.answered = not any(wants)
        if at.probe is not None and at.probe.succeeded is not None:
            at.probe = None
        return request

    def _drop_stale(self, at: Group, now: float) -> None:
        while at.tokens and not at.tokens[0].is_good(now):
            lease = at.tokens.pop(0)
            at.changed = True
            if lease.probe:
                at.probe = None

    def _forget_sent(self, at: Group, now: float) -> None:
        """Grants for requests that were sent too long ago are never used: the limiter may count on it."""
        for number, sent in list(at.sent.items()):
            if now > sent + USABLE_S:
                at.seen = max(at.seen, number)
                if now - sent > CANCEL_S:
                    del at.sent[number]

    def _confirm(self, at: Group, sent: float) -> None:
        at.confirmed = sent if at.confirmed == float("inf") else max(at.confirmed, sent)
