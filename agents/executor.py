"""Runs the handler of one attempt: its data parsed, its context, its time-out. The rest is the core's."""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from agents.context import Context
from agents.document import Carried, JobDocument
from agents.handlers.registry import Handler
from agents.providers import Providers
from agents.spreadsheet.workbooks import Workbooks
from agents.tables import CellsTable
from schemas.catalogue import JOB_TYPES
from schemas.errors import PermanentError
from streams.core.attempt import Attempt
from streams.core.ports import Time
from streams.log import get
from streams.metrics import WorkerMetrics

log = get("tierflow.worker")
Report = Callable[[int, str | None, str | None], None]

MAX_RESULT_BYTES = 256_000
# It goes on while the process is stopped.
_CLOCK = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def present() -> Time:
    """The time as the core wants it."""
    return Time(time.time_ns() // 1_000_000, time.clock_gettime(_CLOCK))


class Executor:
    """Runs handlers. No decision is taken here: what they raise, it raises."""

    def __init__(
        self, handlers: Mapping[str, Handler], providers: Providers, workbooks: Workbooks,
        cells: CellsTable | None, metrics: WorkerMetrics,
    ) -> None:  # fmt: skip
        self._handlers, self._providers, self._workbooks = handlers, providers, workbooks
        self._cells, self._metrics = cells, metrics

    async def perform(self, attempt: Attempt, report: Report) -> tuple[str, Carried]:
        """Run the handler; its result as a JSON text, and what it wrote."""
        entry, job = attempt.entry, attempt.entry.job
        began = time.monotonic()
        self._metrics.wait.labels(job.queue, entry.lane.label).observe(
            max(0, attempt.began - job.accepted_at) / 1e3
        )
        document = JobDocument(self._cells, entry.partition, job)
        bound: Any = log.bind(job_id=job.job_id, type=job.type, attempt=entry.attempt)
        context = Context(
            job, entry.attempt, entry.interruptions, self._providers, document, self._workbooks, report, bound
        )
        try:
            return await self._result(context), Carried(document, context.updates)
        finally:
            self._metrics.duration.labels(job.queue, job.type).observe(time.monotonic() - began)

    async def _result(self, context: Context) -> str:
        job = context.job
        handler = self._handlers.get(job.type)
        if handler is None:
            raise PermanentError(f"this version has no handler for {job.type!r}", code="unsupported")
        data = JOB_TYPES[job.type].contract.parse(job.data)
        async with asyncio.timeout(job.timeout_ms / 1000):
            result = await handler.function(context, data)
        raw = msgspec.json.encode({"success": True, "data": result})
        if len(raw) > MAX_RESULT_BYTES:
            message = f"a result of {len(raw)} bytes; at most {MAX_RESULT_BYTES}"
            raise PermanentError(message, code="result_too_large")
        return raw.decode()
