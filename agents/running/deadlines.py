"""Time limits of handlers: one timer for all of them.

`asyncio.timeout` makes a timer for each, which most jobs take away again at once. Here they stand in slots of
time; a limit ends at most `SLOT_S` late (one of a minute or more: a second), never early.
"""

import asyncio
from heapq import heappop, heappush
from types import TracebackType

SLOT_S = 0.025
LONG_S, LONG_SLOTS = 60.0, 40


class Deadlines:
    """The limits that run now. Belongs to the loop."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Deadline]] = {}
        # Each number once, also when its slot has emptied meanwhile.
        self._numbers: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def after(self, seconds: float) -> "Deadline":
        """A limit for the task that enters it."""
        return Deadline(self, seconds)

    def add(self, deadline: "Deadline", slot: int) -> None:
        """From now on it can end."""
        members = self._slots.get(slot)
        if members is None:
            members = self._slots[slot] = set()
            heappush(self._numbers, slot)
            if self._numbers[0] == slot:
                self._set_timer()
        members.add(deadline)

    def discard(self, deadline: "Deadline", slot: int) -> None:
        """It is no longer needed."""
        members = self._slots.get(slot)
        if members is not None:
            members.discard(deadline)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._numbers[0] * SLOT_S, self._end, loop) if self._numbers else None

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        now = int(loop.time() / SLOT_S)
        while self._numbers and self._numbers[0] <= now:
            for deadline in self._slots.pop(heappop(self._numbers)):
                deadline.expire()
        self._timer = None
        self._set_timer()


class Deadline:
    """`with` it: what lasts longer is cancelled, and a TimeoutError comes out, as of `asyncio.timeout`."""

    __slots__ = ("_all", "_cancelling", "_slot", "_task", "is_over", "seconds")

    def __init__(self, all_: Deadlines, seconds: float) -> None:
        self._all, self.seconds, self.is_over = all_, seconds, False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "a time limit needs a task"
        self._task, self._cancelling = task, task.cancelling()
        # The slot after the one in which it ends: it is looked at when that is over.
        self._slot = int((asyncio.get_running_loop().time() + self.seconds) / SLOT_S) + 1
        if self.seconds >= LONG_S:
            self._slot += -self._slot % LONG_SLOTS  # else those of an hour would take 144,000 slots
        self._all.add(self, self._slot)

    def expire(self) -> None:
        """The time is over."""
        self.is_over = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.is_over:
            self._all.discard(self, self._slot)
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
