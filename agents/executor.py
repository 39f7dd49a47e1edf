"""Runs the handler of one attempt: its data parsed, its context, its time-out. The rest is the core's."""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from agents.context import Context, Report
from agents.document import Carried, JobDocument
from agents.failures import is_of_the_job
from agents.handlers.registry import Handler, Mode
from agents.providers import Providers
from agents.running.compute import Task
from agents.running.deadlines import Deadline, Deadlines
from agents.running.hung import Hung
from agents.running.loop_calls import ThreadDocument, in_loop
from agents.running.processes import Processes
from agents.running.threads import Threads
from agents.spreadsheet.workbooks import Workbooks
from agents.tables import CellsTable
from schemas.catalogue import JOB_TYPES
from schemas.errors import PermanentError, StoppedError
from schemas.payloads.contract import Contract
from schemas.records import Job
from streams.core.attempt import UNKNOWN_OUTCOME, Attempt, parks_unknown
from streams.core.ports import Time
from streams.metrics import WorkerMetrics

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
        cells: CellsTable | None, metrics: WorkerMetrics, processes: Processes | None = None,
        now: Callable[[], int] = now_ms, hung: Hung | None = None,
    ) -> None:  # fmt: skip
        self._handlers, self._providers, self._workbooks = handlers, providers, workbooks
        self._cells, self._metrics, self._now = cells, metrics, now
        self._threads, self._processes = Threads(), processes
        self._deadlines, self._hung = Deadlines(), hung or Hung(metrics.overdue)
        self._running: dict[Attempt, Context] = {}

    async def perform(self, attempt: Attempt, report: Report) -> tuple[str, Carried]:
        """Run the handler; its result as a JSON text, and what goes out with it."""
        entry, job = attempt.entry, attempt.entry.job
        began = time.monotonic()
        self._metrics.wait.labels(job.queue, entry.lane.label).observe(
            max(0, attempt.began - job.accepted_at) / 1e3
        )
        document = JobDocument(self._cells, entry.partition, job)
        context = Context(
            job, entry.attempt, entry.interruptions, self._providers, document, self._workbooks, report,
            self._now,
        )  # fmt: skip
        self._running[attempt] = context
        limit = self._deadlines.after(job.timeout_ms / 1000)
        try:
            # As many of these wait as jobs are in flight: no coroutine between this one and the handler's.
            handler, data = self._handler_of(job)
            if handler.mode is Mode.PROCESS:
                result = await self._in_process(handler, context, data)
            else:
                with limit:
                    if handler.mode is Mode.THREAD:
                        result = await self._in_thread(handler, attempt, context, data)
                    else:
                        result = await handler.function(context, data)  # type: ignore[misc]
            return _text_of(result), Carried(document, context.updates, context.submitted)
        except Exception as error:
            raise _meaning(error, context, limit) from error
        finally:
            del self._running[attempt]
            self._metrics.duration.labels(job.queue, job.type).observe(time.monotonic() - began)

    def cancel(self, attempt: Attempt) -> None:
        """Ask the handler of an attempt to stop; its task may be cancelled later."""
        context = self._running.get(attempt)
        if context is not None:
            context.cancelled.set()

    def closing(self, partition: int) -> None:
        """The partition goes: ask what runs on it to stop."""
        for attempt in self._running:
            if attempt.entry.partition == partition:
                self.cancel(attempt)

    def close(self) -> None:
        """When no job runs any more: threads and processes end."""
        self._threads.close()
        if self._processes is not None:
            self._processes.close()

    def _handler_of(self, job: Job) -> tuple[Handler, Contract]:
        handler = self._handlers.get(job.type)
        if handler is None:
            raise PermanentError(f"this version has no handler for {job.type!r}", code="unsupported")
        return handler, JOB_TYPES[job.type].contract.parse(job.data)

    async def _in_thread(self, handler: Handler, attempt: Attempt, context: Context, data: Contract) -> Any:
        """A function that has begun cannot be ended: the attempt lasts until it returns, and then counts.

        Otherwise the next attempt, or the next job of the key, would run beside it. Only when the partition
        goes it is left to itself: the next owner will not wait.
        """
        context.report = in_loop(context.report)
        context.document = ThreadDocument(context.document)
        call = self._threads.run(handler.function, context, data)
        waiting = asyncio.wrap_future(call)
        while True:
            try:
                return await asyncio.shield(waiting)
            except asyncio.CancelledError:
                if call.cancel():
                    raise
                self._hung.goes_on(call, context.job)
                if attempt.home.closing:
                    raise
                context.cancelled.set()
                context.log.warning("the handler goes on after its time, or after it was cancelled")

    async def _in_process(self, handler: Handler, context: Context, data: Contract) -> Any:
        job = context.job
        if self._processes is None:
            raise PermanentError("this worker has no processes for cpu=True", code="configuration")
        task = Task(
            handler.function, data, job, context.attempt, context.interruptions, context.now()
        )  # fmt: skip
        answer = await self._processes.run(task, job.timeout_ms / 1000, context.report)
        context.take(answer.submitted, answer.updates)
        return answer.result


def _text_of(result: Any) -> str:
    try:
        raw = msgspec.json.encode({"success": True, "data": result})
    except (TypeError, ValueError) as error:
        raise PermanentError(f"a result that is no JSON: {error}", code="result_no_json") from error
    if len(raw) > MAX_RESULT_BYTES:
        message = f"a result of {len(raw)} bytes; at most {MAX_RESULT_BYTES}"
        raise PermanentError(message, code="result_too_large")
    return raw.decode()


def _meaning(error: Exception, context: Context, limit: Deadline) -> BaseException:
    """What an exception means here: it stopped when asked to; or nobody knows what it did.

    Where a person must decide (`on_unknown`), only what a handler calls transient is tried again.
    """
    if limit.is_over and isinstance(error, StoppedError):
        error = TimeoutError(str(error))
    is_telling = is_of_the_job(error) or isinstance(error, TimeoutError)
    if context.cancelled.is_set() and (isinstance(error, StoppedError) or not is_telling):
        return asyncio.CancelledError(str(error))
    if is_of_the_job(error) or not parks_unknown(context.job.type):
        return error
    text = f"its effect may have happened: {str(error) or type(error).__name__}"
    return PermanentError(text, code=UNKNOWN_OUTCOME)
