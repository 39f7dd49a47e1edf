"""Carries out runs of re-drives: in stages, at a rate, watching what becomes of the letters sent.

A run lives in Postgres. The process that works on it holds a lease; when it dies another goes on, and what
was sent and not yet noted is sent once more: the same job id and series, which have an effect once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from connectors.kafka.producer import Outgoing
from connectors.kafka.redrive import Redrive
from connectors.postgres.dead_letters import KeptLetter
from connectors.postgres.redrives import Run, Sent
from connectors.redrive.canary import Tally, limits, too_many_fail, verdict
from connectors.redrive.ports import RunStore
from connectors.redrive.request import request_of
from connectors.views import JobView
from schemas.errors import ContractError, UnavailableError
from schemas.states import State
from streams.codec import Codec
from streams.log import get
from streams.topics import Topology

log = get(__name__)

BATCH = 100
JUDGED_AT_ONCE = 200
# How long a run whose letters are all sent still looks what became of the last of them.
LAST_LOOK_S = 20.0
_LOOK_S = 1.0

FindJob = Callable[[str], Awaitable[JobView | None]]
Send = Callable[[Outgoing], Awaitable[None]]
Shown = Callable[[Tally], None]


class Runner:
    """Works on runs, under one holder's name."""

    def __init__(
        self, store: RunStore, send: Send, find: FindJob, topology: Topology, codec: Codec, holder: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self._store, self._send, self._find = store, send, find
        self._topology, self._codec, self._holder = topology, codec, holder
        self._clock, self._sleep = clock, sleep

    async def work(self, run_id: str, shown: Shown = lambda _: None) -> None:
        """Work on a run until it is over or another process has it. Waits while a service is away."""
        while True:
            try:
                if not await self._store.hold(run_id, self._holder):
                    return
                run = await self._store.run(run_id)
                if run is None:
                    return
                state, reason = await _Work(self, run, shown).through()
                if state:
                    await self._store.finish(run_id, state, reason)
                    log.info("re-drive ended", run_id=run_id, state=state, reason=reason)
                return
            except UnavailableError as error:
                log.warning("re-drive waits", run_id=run_id, reason=str(error))
                await self._sleep(_LOOK_S)


class _Work:
    """One process's work on one run. A run that was taken from us ends with the state ''."""

    def __init__(self, runner: Runner, run: Run, shown: Shown) -> None:
        self._of, self._run, self._shown = runner, run, shown
        self._tally = run.tally
        self._next_at = self._looked_at = runner._clock()

    async def through(self) -> tuple[str, str | None]:
        """Every stage."""
        plan, stages = self._run.plan, self._run.plan.stages
        for stage, limit in zip(stages, limits(self._run.tally.total, stages), strict=True):
            while self._tried < limit:
                if self._is_due_to_look() and not await self._look():
                    return "", None
                if too_many_fail(self._tally, plan.tolerated):
                    return "stopped", self._failing(stage)
                if not await self._some(limit - self._tried):
                    break
            ended = await self._judged(stage, last=stage == stages[-1])
            if ended is not None:
                return ended
        return "done", None

    @property
    def _tried(self) -> int:
        return self._tally.sent + self._tally.refused

    async def _some(self, most: int) -> bool:
        """Send the next few, no faster than the rate; False when there are none left."""
        of, rate = self._of, self._run.plan.rate
        size = min(most, BATCH if rate is None else max(1, min(BATCH, int(rate / 5))))
        letters = await of._store.following(self._run.run_id, size)
        if rate is not None:
            await of._sleep(max(0.0, self._next_at - of._clock()))
            self._next_at = max(self._next_at, of._clock() - _LOOK_S) + len(letters) / rate
        await self._send(letters)
        return bool(letters)

    async def _send(self, letters: Sequence[KeptLetter]) -> None:
        of, run, made = self._of, self._run, list[tuple[str, Redrive]]()
        for kept in letters:
            letter = kept.letter
            try:
                redrive = request_of(letter, run.edit, of._topology, of._codec, run.at)
            except ContractError as error:
                await of._store.refused(run.run_id, letter.letter_id, str(error))
                self._count(refused=1)
            else:
                made.append((letter.letter_id, redrive))
        results = await asyncio.gather(
            *(of._send(redrive.outgoing) for _, redrive in made), return_exceptions=True
        )
        gone = [
            Sent(letter_id, redrive.job_id, redrive.series)
            for (letter_id, redrive), result in zip(made, results, strict=True)
            if result is None
        ]
        if gone:
            await of._store.sent(run.run_id, gone)
            self._count(sent=len(gone))
        for (letter_id, _), result in zip(made, results, strict=True):
            if isinstance(result, ContractError):
                await of._store.refused(run.run_id, letter_id, str(result))
                self._count(refused=1)
            elif isinstance(result, BaseException):
                raise result

    async def _judged(self, stage: int, *, last: bool) -> tuple[str, str | None] | None:
        """Wait for the verdict on a stage; None: the next one may go."""
        began = self._of._clock()
        while True:
            if not await self._look():
                return "", None
            waited = self._of._clock() - began
            match verdict(self._tally, self._run.plan, waited):
                case "failing" if not last:
                    return "stopped", self._failing(stage)
                case "undecided" if not last:
                    return "stopped", f"{self._tally.undecided} letters of the first {stage} % are undecided"
                case "go":
                    return None
            if last and waited >= min(LAST_LOOK_S, self._run.plan.patience_s):
                return None
            await self._of._sleep(_LOOK_S)

    def _is_due_to_look(self) -> bool:
        return self._of._clock() - self._looked_at >= _LOOK_S

    async def _look(self) -> bool:
        """Renew the lease and see what became of letters; False when the run is no longer ours."""
        of, run_id = self._of, self._run.run_id
        self._looked_at = of._clock()
        if not await of._store.hold(run_id, of._holder):
            return False
        watched = await of._store.watched(run_id, JUDGED_AT_ONCE)
        views = await asyncio.gather(*(of._find(one.job_id) for one in watched), return_exceptions=True)
        outcomes = {
            one.letter_id: outcome
            for one, view in zip(watched, views, strict=True)
            if isinstance(view, JobView) and (outcome := outcome_of(view, one.series)) is not None
        }
        if outcomes:
            await of._store.judged(run_id, outcomes)
        run = await of._store.run(run_id)
        if run is None:
            return False
        self._tally = run.tally
        self._shown(self._tally)
        return True

    def _count(self, *, sent: int = 0, refused: int = 0) -> None:
        now = self._tally
        self._tally = Tally(now.total, now.sent + sent, now.completed, now.failing, now.refused + refused)
        self._shown(self._tally)

    def _failing(self, stage: int) -> str:
        return f"{self._tally.failing} of {self._tally.decided} failed again (stage {stage} %)"


def outcome_of(view: JobView, series: int) -> str | None:
    """What became of an attempt series; one that waits for its retry counts as failing until it completes."""
    if view.series < series:
        return None
    if view.series > series or view.state in (State.DEAD, State.CANCELLED):
        return "failing"
    if view.state in (State.COMPLETED, State.DUPLICATE):
        return "completed"
    return "failing" if view.error is not None else None
