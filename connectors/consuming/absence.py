"""How long to wait for a target that is away: longer each time, never two processes in step; pure."""

import random
from collections.abc import Callable
from dataclasses import dataclass

FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0


@dataclass(slots=True)
class Absence:
    """Failures since the target last answered. Times are monotonic seconds, given by the caller."""

    jitter: Callable[[], float] = random.random
    failures: int = 0
    _since: float = 0.0
    _retry_at: float = 0.0

    def failed(self, now: float) -> bool:
        """The target did not answer; True when it did until now."""
        first = self.failures == 0
        if first:
            self._since = now
        limit = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(self.failures, 10))
        self._retry_at = now + limit * (0.5 + self.jitter() / 2)
        self.failures += 1
        return first

    def wait_s(self, now: float) -> float:
        """Seconds until it is worth asking again."""
        return max(0.0, self._retry_at - now) if self.failures else 0.0

    def answered(self, now: float) -> float | None:
        """The target answers; the seconds it was away, None if it was not."""
        if not self.failures:
            return None
        self.failures = 0
        return now - self._since
