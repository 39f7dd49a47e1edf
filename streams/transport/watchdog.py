"""Ends a process that hangs where only a new process helps."""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable

from streams.transport.config import EngineConfig
from streams.transport.errors import Exit

log = logging.getLogger(__name__)

TICK_S = 0.5


class Stall:
    """Counts how many ticks in a row something showed no progress.

    Ticks instead of clock time: a process that was stopped (SIGSTOP) for a minute has missed no tick.
    """

    def __init__(self, limit_s: float, tick_s: float = TICK_S) -> None:
        self._limit = max(1, round(limit_s / tick_s))
        self._seen: object = None
        self._ticks = 0

    def tick(self, progress: object, waiting: bool = True) -> bool:
        """One tick later: True when `progress` has been the same for the limit while something waits."""
        if not waiting or progress != self._seen:
            self._seen, self._ticks = progress, 0
            return False
        self._ticks += 1
        return self._ticks >= self._limit


class Watchdog:
    """A thread that watches the loop and the transactional calls.

    librdkafka 2.16 can hang in a transactional call for ever (broker killed, epoch bump): its producer is
    then lost, and a restarted process works again seconds later.
    """

    def __init__(
        self, config: EngineConfig, loop: asyncio.AbstractEventLoop, calls: Callable[[], tuple[int, int]]
    ) -> None:
        self._config, self._loop, self._calls = config, loop, calls
        self._loop_thread = threading.get_ident()
        self._beats = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def begin(self) -> None:
        """Watch from now on. Called in the loop's thread."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; does not wait."""
        self._stop.set()

    def _run(self) -> None:
        loop_stall = Stall(self._config.loop_stuck_s)
        call_stall = Stall(self._config.transaction_stuck_s)
        while not self._stop.wait(TICK_S):
            begun, ended = self._calls()
            if call_stall.tick(begun, waiting=begun != ended):
                log.error("a transactional call does not return: ending the process")
                self._config.exit(Exit.TRANSACTION_STUCK)
                return
            if loop_stall.tick(self._beats):
                log.error("the event loop stands still at:\n%s", self._loop_stack())
                self._config.exit(Exit.LOOP_STUCK)
                return
            try:
                self._loop.call_soon_threadsafe(self._beat)
            except RuntimeError:
                return  # the loop is closed

    def _beat(self) -> None:
        self._beats += 1

    def _loop_stack(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)
        return "".join(traceback.format_stack(frame)) if frame else "(thread gone)"


class ShutdownLimit:
    """Ends the process when a shutdown takes too long; the work is safe, it was committed or it was not."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._over = threading.Event()

    def begin(self) -> None:
        """The shutdown begins."""
        threading.Thread(target=self._run, name="shutdown-limit", daemon=True).start()

    def end(self) -> None:
        """The shutdown is over."""
        self._over.set()

    def _run(self) -> None:
        begun = time.monotonic()
        if not self._over.wait(self._config.shutdown_s):
            log.error("the shutdown did not end in %.0f s: ending the process", time.monotonic() - begun)
            self._config.exit(Exit.SHUTDOWN_STUCK)
