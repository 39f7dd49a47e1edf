"""The status store as submitting sees it: a help, never a condition. Redis away costs an answer nothing.

Nothing is written before Kafka has the job: a key noted for a job that then fails to be produced would turn
the client's retry into a lost job.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from connectors.gateway.metrics import GatewayMetrics
from connectors.gateway.parts import Status
from connectors.gateway.submission import Submission
from connectors.redis.status import CompletedKey
from connectors.views import JobView
from schemas.errors import TierflowError
from streams.log import get

log = get(__name__)

ANSWER_S = 0.25
# After a failure nobody asks for this long: else each job would wait ANSWER_S for a Redis that hangs.
PAUSE_S = 1.0


class SubmitStatus:
    """Asks the store when it answers, and goes without when it does not."""

    def __init__(
        self, store: Status, metrics: GatewayMetrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._away = metrics.away.labels("redis")
        self._clock = clock
        self._paused_until = float("-inf")

    @property
    def degraded(self) -> bool:
        """Whether the store did not answer lately."""
        return self._clock() < self._paused_until

    async def completed(self, digest: bytes | None) -> CompletedKey | None:
        """The job that is known to have completed under this key; None also when that is not known."""
        if digest is None or self.degraded:
            return None
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await self._store.completed_by_key(digest)
        except (TierflowError, TimeoutError) as error:
            self._failed(error)
            return None
        self._answered()
        return found

    async def known(self, job_id: str) -> JobView | None:
        """The job of an id that a client chose; None also when that is not known."""
        if self.degraded:
            return None
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await self._store.job(job_id)
        except (TierflowError, TimeoutError) as error:
            self._failed(error)
            return None
        self._answered()
        return found

    async def accepted(self, submissions: Sequence[Submission]) -> None:
        """Show jobs that Kafka has as waiting, so that a client that asks at once finds them."""
        if self.degraded:
            return
        try:
            async with asyncio.timeout(ANSWER_S):
                for submission in submissions:
                    await self._store.accepted(
                        submission.request, submission.job_type, submission.job.ordering_key
                    )
        except (TierflowError, TimeoutError) as error:
            self._failed(error)
        else:
            self._answered()

    def _failed(self, error: Exception) -> None:
        if self._paused_until == float("-inf"):
            log.warning("status store away; jobs are accepted without it", error=str(error))
        self._paused_until = self._clock() + PAUSE_S
        self._away.set(1)

    def _answered(self) -> None:
        if self._paused_until != float("-inf"):
            log.info("status store back")
            self._paused_until = float("-inf")
            self._away.set(0)
