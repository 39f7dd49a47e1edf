"""One provider group: the log of requests, the owners of its limiter, what is committed, and the provider.

The limiter is the real one. An owner's grants and its row are there for all when its transaction commits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import msgspec

from ops.simulation.limits.provider import Provider
from schemas.limits import ProviderLimit
from schemas.records import LimitGrant, LimitRequest, RateLimit
from streams.core.limiter import Limiter
from streams.core.ports import Time

EPOCH_MS = 1_700_000_000_000
MANY = 1_000


@dataclass(eq=False)
class Owner:
    """A process that has the group's partition, or believes so. What it wrote waits for its commit.

    `wrote`: when it wrote its row last. The row itself is made when it is committed: nothing happens to a
    limiter that it does not write.
    """

    limiter: Limiter
    position: int
    wrote: Time | None = None
    grants: list[LimitGrant] = field(default_factory=list)


class Group:
    """Every method is one thing that can happen; False: not now. Times are steady seconds."""

    def __init__(self, limit: ProviderLimit) -> None:
        self.limit, self.provider = limit, Provider(limit)
        self.log: list[tuple[int, LimitRequest]] = []
        self.grants: list[LimitGrant] = []
        self.row: RateLimit | None = None
        self.position = 0
        self.owner: Owner | None = None
        self.zombie: Owner | None = None

    def happens(self, what: str, now: float) -> bool:
        """One of them by its name, or an operator's order."""
        acts: dict[str, Callable[[], bool]] = {
            "hear": partial(self.hear, MANY, now), "serve": partial(self.serve, now),
            "commit": partial(self.commit, now), "fall": partial(self.fall, now, committed=False),
            "fall+": partial(self.fall, now, committed=True), "sleep": self.sleep,
            "rise": partial(self.rise, now), "haunt": partial(self.haunt, now),
        }  # fmt: skip
        if what in acts:
            return acts[what]()
        self.order(what, now)
        return True

    def append(self, request: LimitRequest, now: float) -> None:
        """A record is in the log."""
        self.log.append((int(now * 1000), request))

    def order(self, order: str, now: float) -> None:
        """An operator's word is in the log."""
        self.append(LimitRequest(self.limit.group, order=order, by="op"), now)
        if order == "stop":
            self.provider.stopped(now)
        elif order == "resume":
            self.provider.resumed()

    def hear(self, most: int, now: float) -> bool:
        """The owner reads a chunk of requests and answers."""
        owner = self.owner
        if owner is None or owner.position >= len(self.log):
            return False
        for log_time, request in self.log[owner.position : owner.position + most]:
            if request.order is None:
                owner.limiter.asked(request, log_time, clock(now))
                self.provider.heard(request, now)
            else:
                owner.limiter.ordered(request.order, request.by)
                if request.order == "reset":
                    self.provider.was_reset()
        owner.position = min(owner.position + most, len(self.log))
        return _write(owner, now)

    def serve(self, now: float) -> bool:
        """The owner's clock comes round."""
        return self.owner is not None and _write(self.owner, now)

    def commit(self, now: float) -> bool:
        """What the owner wrote is there for all."""
        owner = self.owner
        if owner is None or owner.wrote is None:
            return False
        self.row, self.position = _encoded(owner.limiter.row(owner.wrote)), owner.position
        self.grants += owner.grants
        owner.wrote, owner.grants = None, []
        self.provider.committed(self.row, now)
        return True

    def fall(self, now: float, *, committed: bool) -> bool:
        """The owner is gone, its open transaction committed or not."""
        if self.owner is None:
            return False
        if committed:
            self.commit(now)
        self.owner = None
        return True

    def sleep(self) -> bool:
        """The owner is stopped beyond its session: the group gives its partition away."""
        if self.owner is None:
            return False
        self.zombie, self.owner = self.owner, None
        return True

    def rise(self, now: float) -> bool:
        """A new owner, from what is committed."""
        if self.owner is not None:
            return False
        self.owner = Owner(Limiter(self.limit, clock(now), self.row), self.position)
        return True

    def haunt(self, now: float) -> bool:
        """A former owner wakes up and answers: its transaction is fenced, nobody hears of it."""
        zombie = self.zombie
        if zombie is None:
            return False
        _write(zombie, now)
        self.zombie = None
        return True


def clock(now: float) -> Time:
    """Limiters' clocks are not set: only differences count, and those are the same everywhere."""
    return Time(EPOCH_MS + int(now * 1000), now)


def _write(owner: Owner, now: float) -> bool:
    time = clock(now)
    owner.grants += owner.limiter.serve(time)
    owner.wrote = time
    return True


def _encoded(row: RateLimit) -> RateLimit:
    """Encoded, a row does not change with its limiter any more."""
    holders = [msgspec.structs.replace(holder, granted=holder.granted[:]) for holder in row.holders]
    return msgspec.structs.replace(row, holders=holders)
