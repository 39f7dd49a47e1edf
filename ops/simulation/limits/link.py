"""A worker's way to the limiters: its leases, the requests that wait to be sent, the grants it has read."""

from dataclasses import dataclass, field

from ops.simulation.limits.group import Group
from schemas.records import LimitGrant, LimitRequest
from streams.core.leases import Leases


@dataclass(eq=False, kw_only=True)
class Link:
    """One life of a worker, as providers and limiters know it."""

    name: str
    leases: Leases
    read: dict[str, int] = field(default_factory=dict)
    outbox: list[LimitRequest] = field(default_factory=list)
    stopped: bool = False
    cut: bool = False
    gone: bool = False

    def send(self, groups: dict[str, Group], how: str, now: float) -> bool:
        """The oldest request reaches the log (`ok`), does not (`lost`), or does and nobody knows (`?`)."""
        if not self.outbox or (self.cut and how != "lost"):
            return False
        request = self.outbox.pop(0)
        if how != "lost":
            group = groups[request.group]
            group.append(request, now)
            group.provider.renewed(self, now)
        if how == "ok":
            self.leases.delivered(request.group, request.number)
        else:
            self.leases.undelivered(request)
        return True

    def grants(self, group: Group, most: int) -> list[LimitGrant]:
        """The next committed grants of a group."""
        if self.cut:
            return []
        at = self.read.get(group.limit.group, 0)
        found = group.grants[at : at + most]
        self.read[group.limit.group] = at + len(found)
        return found
