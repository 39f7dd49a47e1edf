"""Threads for handlers that are plain functions.

Own ones: those of `concurrent.futures` keep a process from ending while a function hangs. There are as many
as functions run at a time; the worker's slots bound that.
"""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")
_Call = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


class Threads:
    """Daemon threads, started when needed and kept. A thread cannot be ended from outside."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._open = self._started = 0
        self._lock = Lock()

    def run(self, function: Callable[..., T], *arguments: Any) -> "Future[T]":
        """Call the function in a thread, at once."""
        future: Future[T] = Future()
        with self._lock:
            self._open += 1
            is_short = self._open > self._started
            self._started += is_short
        self._calls.put((future, function, arguments))
        if is_short:
            Thread(target=self._serve, name="handler", daemon=True).start()
        return future

    def close(self) -> None:
        """End the idle ones; what runs is left to itself."""
        for _ in range(self._started):
            self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function, arguments = call
            result, error = None, None
            if future.set_running_or_notify_cancel():
                try:
                    result = function(*arguments)
                except BaseException as raised:
                    error = raised
            # Before the result is known: whoever waits for it may come with the next call.
            with self._lock:
                self._open -= 1
            if error is not None:
                future.set_exception(error)
            elif not future.cancelled():
                future.set_result(result)
            del call, future, function, arguments, result, error
