"""Processes for handlers that compute: each can be killed without a trace in the others.

Own code on `multiprocessing`: the pools of pebble and `concurrent.futures` share a channel, and a child that
dies at a bad moment breaks the pool for its neighbours.
"""

import asyncio
import multiprocessing
import signal
from typing import Any

from agents.context import Report
from agents.running import compute
from agents.running.compute import Progress, Raised, Returned, Task
from agents.running.threads import Threads
from schemas.errors import PermanentError, TransientError
from schemas.job_type import JobType
from streams.settings import ProcessSettings

# Not forked: a copy of a process with librdkafka's threads and locks does not work.
_SPAWN = multiprocessing.get_context("spawn")


class Processes:
    """At most `most` processes, started when needed and kept. One task at a time in each."""

    def __init__(
        self, most: int, types: tuple[JobType, ...] = (), process: ProcessSettings | None = None
    ) -> None:
        self._types, self._process = types, process
        self._free = asyncio.Semaphore(most)
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._threads = Threads()

    async def run(self, task: Task, timeout_s: float, report: Report) -> Returned:
        """What the function returned. Waits for a process; the time limit begins after that.

        Raises what the function raised; TimeoutError and CancelledError when the process was killed for it;
        TransientError `process_died` when it ended by itself.
        """
        async with self._free:
            child = await self._child()
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await child.perform(task, report)
            except BaseException:
                child.kill()
                raise
            finally:
                self._busy.discard(child)
            self._idle.append(child)
        if isinstance(answer, Raised):
            raise _error_of(answer)
        return answer

    def close(self) -> None:
        """Kill them all."""
        for child in (*self._idle, *self._busy):
            child.kill()
        self._idle.clear()
        self._threads.close()

    async def _child(self) -> "_Child":
        while self._idle:
            child = self._idle.pop()
            if child.is_alive:
                self._busy.add(child)
                return child
        child = _Child(self._threads, self._types, self._process)
        self._busy.add(child)
        try:
            await child.ready()
        except BaseException:
            child.kill()
            self._busy.discard(child)
            raise
        return child


class _Child:
    """One process; what it sends is read in a thread, which ends with it."""

    def __init__(self, threads: Threads, types: tuple[JobType, ...], process: ProcessSettings | None) -> None:
        self._threads = threads
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=compute.main, args=(theirs, types, process), name="handler", daemon=True
        )
        self._theirs = theirs
        self._is_killed = False

    @property
    def is_alive(self) -> bool:
        """Whether it can take a task."""
        return self._process.is_alive()

    async def ready(self) -> None:
        """Return when it can take a task."""
        await asyncio.wrap_future(self._threads.run(self._start))

    def _start(self) -> None:
        self._process.start()
        self._theirs.close()
        if self._is_killed:
            self._process.kill()
        self._receive()

    async def perform(self, task: Task, report: Report) -> Returned | Raised:
        """Its answer to the task."""
        loop = asyncio.get_running_loop()

        def say(said: Progress) -> None:
            loop.call_soon_threadsafe(report, said.percentage, said.stage, said.message)

        return await asyncio.wrap_future(self._threads.run(self._exchange, task, say))

    def _exchange(self, task: Task, say: Any) -> Returned | Raised:
        try:
            self._pipe.send(task)
        except OSError as error:
            raise self._death() from error
        while isinstance(answer := self._receive(), Progress):
            say(answer)
        return answer  # type: ignore[no-any-return]

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error

    def _death(self) -> TransientError:
        self._process.join(5)
        return TransientError(f"the handler's process {_how(self._process.exitcode)}", code="process_died")

    def kill(self) -> None:
        """End it now; whoever waits for its answer hears that it died."""
        self._is_killed = True  # if it is only being started
        if self._process.pid is not None:
            self._process.kill()


def _how(status: int | None) -> str:
    if status is None or status >= 0:
        return f"ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was ended by {name}"


def _error_of(answer: Raised) -> Exception:
    failure = answer.failure
    if failure.retryable:
        return TransientError(failure.message, code=failure.error_class, retry_after_s=answer.retry_after_s)
    return PermanentError(failure.message, code=failure.error_class)
