"""Dead letters and re-drives in memory, with the rules of the tables."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from connectors.postgres.dead_letters import Figures, Group, KeptLetter, LetterPage, Redriven
from connectors.postgres.letter_filter import LetterFilter
from connectors.postgres.redrives import Run, Sent
from connectors.redrive.canary import Plan, Tally
from connectors.redrive.edit import Edit
from connectors.redrive.ports import Tenants
from schemas.errors import UnavailableError
from schemas.records import DeadLetter

_SAME = ("queue", "type", "tier", "error_class", "fingerprint", "job_id", "tenant_id")


@dataclass
class Chosen:
    run_id: str
    state: str = "chosen"
    job_id: str | None = None
    series: int | None = None
    outcome: str | None = None
    problem: str | None = None


@dataclass
class MemoryLetters:
    """Both stores at once."""

    letters: list[DeadLetter] = field(default_factory=list)
    chosen: dict[str, Chosen] = field(default_factory=dict)
    known: dict[str, Run] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    away: bool = False
    lost_leases: bool = False

    def _meant(self, asked: LetterFilter, tenants: Tenants) -> list[DeadLetter]:
        if self.away:
            raise UnavailableError("Postgres does not answer")
        self.asked = {"filter": asked, "tenants": tenants}
        return [
            letter
            for letter in self.letters
            if (asked.ids is None or letter.letter_id in asked.ids)
            and all(getattr(asked, name) in (None, getattr(letter, name)) for name in _SAME)
            and (asked.until is None or letter.last_failed_at < asked.until.timestamp() * 1000)
            and (tenants is None or letter.tenant_id in tenants)
            and (asked.fate == "all" or self._taken(letter.letter_id) == (asked.fate == "redriven"))
        ]

    def _taken(self, letter_id: str) -> bool:
        return letter_id in self.chosen and self.chosen[letter_id].state != "refused"

    def _kept(self, letter: DeadLetter) -> KeptLetter:
        if not self._taken(letter.letter_id):
            return KeptLetter(letter, None)
        one = self.chosen[letter.letter_id]
        run = self.known[one.run_id]
        return KeptLetter(letter, Redriven(run.run_id, run.by, run.at, one.series, None, one.outcome))

    async def page(
        self, asked: LetterFilter, tenants: Tenants, *, cursor: str | None = None, limit: int = 50
    ) -> LetterPage:
        found = self._meant(asked, tenants)
        self.asked |= {"cursor": cursor, "limit": limit}
        return LetterPage([self._kept(letter) for letter in found[:limit]], "next" if found else None)

    async def one(self, letter_id: str, tenants: Tenants) -> KeptLetter | None:
        found = self._meant(LetterFilter(ids=[letter_id], fate="all"), tenants)
        return self._kept(found[0]) if found else None

    async def groups(self, asked: LetterFilter, tenants: Tenants, *, limit: int = 50) -> list[Group]:
        found = self._meant(asked, tenants)
        return [
            Group(mark, "c", "m", ["q/t"], sum(one.fingerprint == mark for one in found), 0, 1, 2, "l")
            for mark in sorted({one.fingerprint for one in found})
        ]

    async def figures(self, asked: LetterFilter, tenants: Tenants) -> Figures:
        found = self._meant(asked, tenants)
        return Figures(len(found), len(found), 0, [], [], [])

    async def stream(
        self, asked: LetterFilter, tenants: Tenants, *, with_bytes: bool = False
    ) -> AsyncIterator[KeptLetter]:
        for letter in self._meant(asked, tenants):
            yield self._kept(letter)

    async def delete(self, asked: LetterFilter, tenants: Tenants, *, by: str) -> int:
        gone = self._meant(asked, tenants)
        self.letters = [letter for letter in self.letters if letter not in gone]
        return len(gone)

    async def create(
        self, run_id: str, asked: LetterFilter, tenants: Tenants, edit: Edit, plan: Plan, *,
        by: str, holder: str,
    ) -> int:  # fmt: skip
        found = self._meant(asked, tenants)
        named = None if tenants is None else list(tenants)
        said = msgspec.to_builtins(asked)
        self.known[run_id] = Run(
            run_id, by, 1_800_000_000_000, named, said, plan, edit, "running", None, None, Tally(len(found))
        )
        self.holders[run_id] = holder
        for letter in sorted(found, key=lambda one: one.last_failed_at):
            self.chosen[letter.letter_id] = Chosen(run_id)
        return len(found)

    async def run(self, run_id: str) -> Run | None:
        if run_id not in self.known:
            return None
        mine = self._of(run_id)
        return msgspec.structs.replace(
            self.known[run_id],
            tally=Tally(
                self.known[run_id].tally.total,
                sum(one.state == "sent" for one in mine.values()),
                sum(one.outcome == "completed" for one in mine.values()),
                sum(one.outcome == "failing" for one in mine.values()),
                sum(one.state == "refused" for one in mine.values()),
            ),
        )

    async def runs(self, tenants: Tenants, limit: int = 20) -> list[Run]:
        return [
            run for run in self.known.values()
            if tenants is None or (run.tenants is not None and set(run.tenants) <= set(tenants))
        ]  # fmt: skip

    async def hold(self, run_id: str, holder: str) -> bool:
        free = self.lost_leases or self.holders.get(run_id) == holder
        return free and self.known[run_id].state == "running"

    async def abandoned(self) -> list[str]:
        return [run_id for run_id, run in self.known.items() if run.state == "running" and self.lost_leases]

    async def following(self, run_id: str, limit: int) -> list[KeptLetter]:
        if self.away:
            raise UnavailableError("Postgres does not answer")
        waiting = [letter_id for letter_id, one in self._of(run_id).items() if one.state == "chosen"]
        by_id = {letter.letter_id: letter for letter in self.letters}
        return [KeptLetter(by_id[letter_id], None) for letter_id in waiting[:limit]]

    async def sent(self, run_id: str, letters: Sequence[Sent]) -> None:
        for letter in letters:
            one = self.chosen[letter.letter_id]
            one.state, one.job_id, one.series = "sent", letter.job_id, letter.series

    async def refused(self, run_id: str, letter_id: str, problem: str) -> None:
        self.chosen[letter_id].state, self.chosen[letter_id].problem = "refused", problem

    async def problems(self, run_id: str, limit: int = 10) -> list[tuple[str, str]]:
        mine = self._of(run_id).items()
        return [(letter_id, one.problem or "") for letter_id, one in mine if one.state == "refused"]

    async def watched(self, run_id: str, limit: int) -> list[Sent]:
        return [
            Sent(letter_id, one.job_id or "", one.series or 0)
            for letter_id, one in self._of(run_id).items()
            if one.state == "sent" and one.outcome != "completed"
        ][:limit]

    async def judged(self, run_id: str, outcomes: dict[str, str]) -> None:
        for letter_id, outcome in outcomes.items():
            self.chosen[letter_id].outcome = outcome

    async def finish(self, run_id: str, state: str, reason: str | None = None) -> bool:
        run = self.known[run_id]
        if run.state != "running":
            return False
        self.known[run_id] = msgspec.structs.replace(run, state=state, reason=reason, finished_at=1)
        for letter_id, one in self._of(run_id).items():
            if one.state == "chosen":
                del self.chosen[letter_id]
        return True

    def _of(self, run_id: str) -> dict[str, Chosen]:
        return {letter_id: one for letter_id, one in self.chosen.items() if one.run_id == run_id}
