"""Re-drives as the gateway and the command line order them: carried out in the background, and taken over.

A run goes on when its gateway dies: another one finds its lease run out.
"""

import asyncio
import contextlib
from collections.abc import Callable

from connectors.postgres.letter_filter import LetterFilter
from connectors.postgres.redrives import Run
from connectors.redrive.canary import Plan
from connectors.redrive.edit import Edit
from connectors.redrive.ports import RunStore, Tenants
from connectors.redrive.runner import Runner, Shown
from schemas.errors import UnavailableError

TAKE_OVER_EVERY_S = 10.0
_SENT_WITHIN_S = 5.0
_ASKED_EVERY_S = 0.05


class Redrives:
    """Orders, watches and stops runs. `start` within the event loop that is to carry them out."""

    def __init__(self, store: RunStore, runner: Runner, holder: str, new_id: Callable[[], str]) -> None:
        self._store, self._runner, self._holder, self._new_id = store, runner, holder, new_id
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take over what other processes left."""
        self._watch = asyncio.create_task(self._take_over())

    async def close(self) -> None:
        """Stop working; another process goes on with the runs when our leases have run out."""
        tasks = [*self._tasks, *([self._watch] if self._watch else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def order(self, asked: LetterFilter, tenants: Tenants, edit: Edit, plan: Plan, *, by: str) -> Run:
        """Choose the letters and begin. UnavailableError: nothing is ordered."""
        run_id = await self.create(asked, tenants, edit, plan, by=by)
        task = asyncio.create_task(self._runner.work(run_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await self.run(run_id)

    async def create(self, asked: LetterFilter, tenants: Tenants, edit: Edit, plan: Plan, *, by: str) -> str:
        """Choose the letters, without beginning."""
        run_id = self._new_id()
        await self._store.create(run_id, asked, tenants, edit, plan, by=by, holder=self._holder)
        return run_id

    async def work(self, run_id: str, shown: Shown) -> None:
        """Work on a run here and now."""
        await self._runner.work(run_id, shown)

    async def sent(self, run: Run) -> Run:
        """The run once its letters are with Kafka, or as it stands after a few seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SENT_WITHIN_S):
                while run.state == "running" and run.tally.sent + run.tally.refused < run.tally.total:
                    await asyncio.sleep(_ASKED_EVERY_S)
                    run = await self.run(run.run_id)
        return run

    async def run(self, run_id: str) -> Run:
        """A run that is known to exist."""
        found = await self._store.run(run_id)
        assert found is not None, run_id
        return found

    async def find(self, run_id: str, tenants: Tenants) -> Run | None:
        """A run; of a tenant admin only one that touched no other tenant's letters."""
        found = await self._store.run(run_id) if "\x00" not in run_id else None
        if found is None or tenants is None:
            return found
        return found if found.tenants is not None and set(found.tenants) <= set(tenants) else None

    async def latest(self, tenants: Tenants) -> list[Run]:
        """The latest runs."""
        return await self._store.runs(tenants)

    async def problems(self, run_id: str) -> list[tuple[str, str]]:
        """Letters of a run that could not be sent, and why."""
        return await self._store.problems(run_id)

    async def stop(self, run_id: str, by: str) -> bool:
        """End a run; what it has sent stays sent. False when it was over."""
        return await self._store.finish(run_id, "stopped", f"stopped by {by}")

    async def _take_over(self) -> None:
        while True:
            with contextlib.suppress(UnavailableError):
                for run_id in await self._store.abandoned():
                    await self._runner.work(run_id)
            await asyncio.sleep(TAKE_OVER_EVERY_S)
