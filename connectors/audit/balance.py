"""The ledger's figures: in = done + retry + dead + duplicate + cancelled + pending, by tier; pure."""

from collections.abc import Mapping

import msgspec

from schemas.states import State


class TierBalance(msgspec.Struct, rename="camel"):
    """One tier's attempt series. `repeated`: records of one that came before; `missing`: nowhere found."""

    came: int = 0
    completed: int = 0
    dead: int = 0
    duplicate: int = 0
    cancelled: int = 0
    retry: int = 0
    pending: int = 0
    repeated: int = 0
    missing: int = 0

    @property
    def holds(self) -> bool:
        """Whether everything that came in is accounted for."""
        parts = (getattr(self, name) for name in self.__struct_fields__ if name not in ("came", "missing"))
        return bool(self.came == sum(parts))

    def ended(self, state: str, count: int = 1) -> None:
        """Some ended so."""
        name = State(state).value
        setattr(self, name, getattr(self, name) + count)

    def take(self, came: int, ends: Mapping[str, int]) -> None:
        """So many came, and all of them ended so."""
        self.came += came
        for state, count in ends.items():
            self.ended(state, count)


class IngressBalance(msgspec.Struct, rename="camel"):
    """What came in by `events` and `job-requests`, and how much of it the router has not passed on yet."""

    came: int = 0
    refused: int = 0
    commands: int = 0
    pending: int = 0
    missing: int = 0


class Balance(msgspec.Struct, rename="camel"):
    """All of it; `holds` when nothing is missing anywhere."""

    ingress: IngressBalance
    tiers: dict[int, TierBalance]
    buckets: int = 0
    judged: int = 0

    @property
    def holds(self) -> bool:
        """Whether in equals out at every stage."""
        return not self.ingress.missing and all(tier.holds for tier in self.tiers.values())
