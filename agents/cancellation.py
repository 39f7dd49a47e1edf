"""Whether an attempt should stop, as its handler sees it."""

import asyncio

from schemas.errors import StoppedError


class Cancellation:
    """Like an event that others set. `is_set` and `check` may be called from any thread.

    Most jobs never look at it: the event is made when somebody waits.
    """

    __slots__ = ("_event", "_is_set")

    def __init__(self) -> None:
        self._is_set = False
        self._event: asyncio.Event | None = None

    def is_set(self) -> bool:
        """Whether the attempt should stop."""
        return self._is_set

    def check(self) -> None:
        """Raise StoppedError if it should: the attempt ends here, and is no failure of the job."""
        if self._is_set:
            raise StoppedError("the handler was asked to stop")

    async def wait(self) -> None:
        """Return when it should stop."""
        if self._is_set:
            return
        if self._event is None:
            self._event = asyncio.Event()
        await self._event.wait()

    def set(self) -> None:
        """Ask it to stop."""
        self._is_set = True
        if self._event is not None:
            self._event.set()
