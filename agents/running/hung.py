"""Functions that go on in their threads past their time: nothing but the end of the process ends them.

Each holds a slot until it returns. One that does is forgotten; when too many do not, the process is to be
replaced while it has slots left: else it would be a worker that owns partitions and does nothing.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from prometheus_client import Gauge

from schemas.records import Job
from streams.log import get

log = get("tierflow.worker")

HANGS_AFTER_S = 30.0
"""What runs so long past its time, or after it was cancelled, is taken to hang."""


def nobody() -> None:
    """For a process that is not to be replaced."""


class Hung:
    """`overdue` shows how many are past their time; `replace` is called when `most` of them hang."""

    def __init__(self, overdue: Gauge, most: int = 1, replace: Callable[[], object] = nobody) -> None:
        self._overdue, self._most, self._replace = overdue, most, replace
        self._calls: dict[Future[Any], Job] = {}
        self._hanging: set[Future[Any]] = set()

    def goes_on(self, call: "Future[Any]", job: Job) -> None:
        """The function should have ended. In the loop; said twice it counts once."""
        if call in self._calls or call.done():
            return
        loop, gauge = asyncio.get_running_loop(), self._overdue.labels(job.queue, job.type)
        self._calls[call] = job
        gauge.inc()
        look = loop.call_later(HANGS_AFTER_S, self._look, call)

        def returned() -> None:
            look.cancel()
            gauge.dec()
            del self._calls[call]
            self._hanging.discard(call)

        # The thread may outlive the loop: then there is nothing to count any more.
        call.add_done_callback(lambda _: None if loop.is_closed() else loop.call_soon_threadsafe(returned))

    def _look(self, call: "Future[Any]") -> None:
        if call.done():
            return
        job = self._calls[call]
        self._hanging.add(call)
        log.error(
            "a function hangs in its thread", type=job.type, job_id=job.job_id, hanging=len(self._hanging),
            replaced_at=self._most,
        )  # fmt: skip
        if len(self._hanging) >= self._most:
            self._replace()
