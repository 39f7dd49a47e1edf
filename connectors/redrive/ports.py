"""What re-drives and the gateway need of the tables of dead letters; UnavailableError when they are away."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Protocol

from connectors.postgres.dead_letters import Figures, Group, KeptLetter, LetterPage
from connectors.postgres.letter_filter import LetterFilter
from connectors.postgres.redrives import Run, Sent
from connectors.redrive.canary import Plan
from connectors.redrive.edit import Edit

Tenants = Collection[str] | None


class LetterStore(Protocol):
    """Dead letters; `tenants` None means everyone's."""

    async def page(
        self, asked: LetterFilter, tenants: Tenants, *, cursor: str | None = None, limit: int = 50
    ) -> LetterPage:
        """Latest first."""

    async def one(self, letter_id: str, tenants: Tenants) -> KeptLetter | None:
        """One with its bytes."""

    async def groups(self, asked: LetterFilter, tenants: Tenants, *, limit: int = 50) -> list[Group]:
        """By cause."""

    async def figures(self, asked: LetterFilter, tenants: Tenants) -> Figures:
        """Counts."""

    def stream(
        self, asked: LetterFilter, tenants: Tenants, *, with_bytes: bool = False
    ) -> AsyncIterator[KeptLetter]:
        """Oldest first."""

    async def delete(self, asked: LetterFilter, tenants: Tenants, *, by: str) -> int:
        """How many were deleted."""


class RunStore(Protocol):
    """Runs of re-drives and their letters."""

    async def create(
        self, run_id: str, asked: LetterFilter, tenants: Tenants, edit: Edit, plan: Plan, *,
        by: str, holder: str,
    ) -> int:  # fmt: skip
        """Choose the letters, lease the run."""

    async def run(self, run_id: str) -> Run | None:
        """A run."""

    async def runs(self, tenants: Tenants, limit: int = 20) -> list[Run]:
        """The latest."""

    async def hold(self, run_id: str, holder: str) -> bool:
        """Lease it, or renew the lease."""

    async def abandoned(self) -> list[str]:
        """Running ones that nobody holds."""

    async def following(self, run_id: str, limit: int) -> list[KeptLetter]:
        """The next letters."""

    async def sent(self, run_id: str, letters: Sequence[Sent]) -> None:
        """Note what was sent."""

    async def refused(self, run_id: str, letter_id: str, problem: str) -> None:
        """Note what cannot be."""

    async def problems(self, run_id: str, limit: int = 10) -> list[tuple[str, str]]:
        """Letters that could not be sent."""

    async def watched(self, run_id: str, limit: int) -> list[Sent]:
        """Letters to look after."""

    async def judged(self, run_id: str, outcomes: dict[str, str]) -> None:
        """Note what became of them."""

    async def finish(self, run_id: str, state: str, reason: str | None = None) -> bool:
        """End it; False when it was over."""
