"""Runs coroutines one after the other in one task, as long as they end without waiting.

A task costs more than many a handler. So those that end at their first step share one; the first that waits
keeps it, to be waited for and cancelled like any task, and those behind it get two others: so many that wait
have all begun after a few turns of the loop, and one task is in vain where the others do not.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any

After = Callable[[Any, Any, BaseException | None], object]
"""Hears of the end: the subject, the result, and the error instead (CancelledError: it was cancelled)."""


class Work:
    """One coroutine under way, in a context of its own; `after` hears of its end, once, in any case."""

    __slots__ = ("_after", "_context", "_coro", "_is_cancelled", "_subject", "_task", "is_over")

    def __init__(
        self, coro: Coroutine[Any, Any, Any], context: Context, after: After, subject: object
    ) -> None:
        self._coro, self._context, self._after, self._subject = coro, context, after, subject
        self._task: asyncio.Task[None] | None = None
        self._is_cancelled = self.is_over = False

    def cancel(self) -> None:
        """As of a task: it is thrown where it waits; one that has not begun never does."""
        if self._task is None:
            self._is_cancelled = True
        elif not self.is_over:
            self._task.cancel()

    def begin(self, task: "asyncio.Task[None]") -> Any:
        """Its first step, in this task; what it waits for, unless it is over then."""
        self._task = task
        if not self._is_cancelled:
            return self._step(self._coro.send, None)
        self._coro.close()
        return self._end(None, asyncio.CancelledError())

    def go_on(self, error: BaseException | None) -> Any:
        """Its next step, or the error where it waits; what it waits for then, unless it is over."""
        return self._step(self._coro.send, None) if error is None else self._step(self._coro.throw, error)

    def _step(self, act: Callable[[Any], Any], given: BaseException | None) -> Any:
        try:
            return self._context.run(act, given)
        except StopIteration as end:
            result, failure = end.value, None
        except (Exception, asyncio.CancelledError) as error:
            result, failure = None, error
        return self._end(result, failure)

    def _end(self, result: Any, error: BaseException | None) -> None:
        self.is_over = True
        # The subject may have us as we have it: such circles are not to wait for the collector.
        subject, self._subject = self._subject, None
        self._after(subject, result, error)


class Burst:
    """What their task runs: to asyncio a coroutine, but without the frames that one keeps while it waits."""

    __slots__ = ("_bursts", "_work")

    def __init__(self, bursts: "Bursts") -> None:
        self._bursts = bursts
        self._work: Work | None = None

    def send(self, value: None) -> Any:
        """Begin what waits to begin; later, go on with the one that was not over then."""
        work = self._work
        if work is None:
            self._work, waited = self._bursts.begin()
        else:
            waited = work.go_on(None)
        return self._waits(waited)

    def throw(self, error: BaseException) -> Any:
        """Into the work that waits; before any began, none of them will."""
        if self._work is None:
            self._bursts.cancel()
            raise error
        return self._waits(self._work.go_on(error))

    def close(self) -> None:
        """Nothing: the coroutine of the work closes itself when it is dropped."""

    def __await__(self) -> Generator[Any, None, None]:
        raise TypeError("a burst is run as a task")

    def _waits(self, waited: Any) -> Any:
        if self._work is None or self._work.is_over:
            self._work = None  # it has its task, which has us
            raise StopIteration
        return waited


class Bursts:
    """The work of one partition; `spawn` makes the tasks that it is done in."""

    def __init__(self, spawn: Callable[[Burst], object]) -> None:
        self._spawn = spawn
        self._waiting: deque[Work] = deque()
        self._tasks = 0
        """Those that will take, or are taking, what has not begun."""

    def add(self, work: Work) -> None:
        """It begins soon, after those that were added before."""
        self._waiting.append(work)
        self._see_to(1)

    def begin(self) -> tuple[Work | None, Any]:
        """Do what was added, in the current task, until one of them waits: that one, and what for."""
        task = asyncio.current_task()
        assert task is not None
        met_one = False
        try:
            for _ in range(len(self._waiting)):  # what comes meanwhile is for the next task
                work = self._waiting.popleft()
                waited = work.begin(task)
                if not work.is_over:
                    met_one = True
                    return work, waited
                if task.cancelling() or getattr(task, "_must_cancel", False):
                    break  # what one of them did to its task is not to meet another
        finally:
            self._tasks -= 1
            self._see_to(self._tasks + 2 if met_one else 1)
        return None, None

    def cancel(self) -> None:
        """The partition went before any of them began."""
        for work in self._waiting:
            work.cancel()
        self._tasks -= 1
        self._see_to(1)

    def _see_to(self, tasks: int) -> None:
        """So many tasks take what has not begun, if there is that much."""
        while self._tasks < min(tasks, len(self._waiting)):
            self._tasks += 1
            self._spawn(Burst(self))
