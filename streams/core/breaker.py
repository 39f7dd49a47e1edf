"""The circuit of one provider group: opens when the provider fails; one call probes whether it works again.

closed --5 failures in a row, or half of the last 20--> open --30 s--> half open --one call--> closed or open.
Failures are the provider's: time-outs, lost connections, 5xx. What it refuses (4xx) shows that it works.
"""

from collections import deque
from collections.abc import Iterable
from enum import StrEnum

IN_A_ROW = 5
WINDOW = 20
OPEN_S = 30.0


class Circuit(StrEnum):
    """Its three states."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Told of outcomes, it says whether calls may start. Times are steady seconds."""

    def __init__(
        self, state: Circuit = Circuit.CLOSED, until: float = 0.0, outcomes: Iterable[bool] = ()
    ) -> None:
        self._state, self.until = state, until
        self.outcomes = deque(outcomes, WINDOW)

    def state(self, now: float) -> Circuit:
        """Where it stands; an open one is half open when its time is over."""
        if self._state is Circuit.OPEN and now >= self.until:
            self._state = Circuit.HALF_OPEN
        return self._state

    def note(self, succeeded: bool, now: float) -> None:
        """A call ended. While the circuit is not closed only its probe counts: the others started before."""
        if self._state is not Circuit.CLOSED:
            return
        self.outcomes.append(succeeded)
        if self._is_failing():
            self._open(now)

    def probed(self, succeeded: bool, now: float) -> None:
        """The probe ended."""
        if self._state is not Circuit.HALF_OPEN:
            return
        if succeeded:
            self.close()
        else:
            self._open(now)

    def close(self) -> None:
        """Calls may start; what was counted before is forgotten."""
        self._state = Circuit.CLOSED
        self.outcomes.clear()

    def _open(self, now: float) -> None:
        self._state, self.until = Circuit.OPEN, now + OPEN_S
        self.outcomes.clear()

    def _is_failing(self) -> bool:
        last = list(self.outcomes)
        if len(last) >= IN_A_ROW and not any(last[-IN_A_ROW:]):
            return True
        return len(last) == WINDOW and 2 * last.count(False) >= WINDOW
