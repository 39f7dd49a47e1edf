"""Attempts that last: one that runs for long lets its source offset go, and later those behind it.

What is in the table waits there for any time; an open offset holds up all that come after it.
"""

from collections import deque

from schemas.states import State
from streams.core import attempt as rules
from streams.core import outcome
from streams.core.attempt import Attempt
from streams.core.ports import Time
from streams.core.writing import Writing

# What waits in memory behind a job that runs for longer than this, or before a gate, goes to the table.
STAYS_S = 1.0
# So many at a tick: thousands that began together would stop the loop, and be one large transaction.
AT_ONCE = 250


class Lasting:
    """The attempts under way, by the time they began."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        # Those that were started lately, oldest first: the ones that may become long-running.
        self._recent: deque[Attempt] = deque()
        # Those of them that did.
        self._long: deque[Attempt] = deque()

    def started(self, attempt: Attempt) -> None:
        """Its handler is about to start."""
        self._recent.append(attempt)

    def progressed(
        self, attempt: Attempt, percentage: int, stage: str | None, message: str | None, time: Time
    ) -> None:
        """Its handler says how far it is; not every word is written."""
        if attempt.over or not rules.may_report(attempt, stage, time):
            return
        attempt.stage, attempt.said_at = stage, time.steady
        writes = outcome.progressed(attempt.entry, time.wall, percentage, stage, message)
        self._writing.write(attempt.home, attempt.entry, writes)

    def tick(self, time: Time, behind_s: float) -> None:
        """Time has passed, in which whoever runs the handlers was so far behind."""
        recent, long = self._recent, self._long
        left = AT_ONCE
        while recent and left and (recent[0].over or rules.is_long(recent[0], time, behind_s)):
            left -= not recent[0].over
            self._let_go(recent.popleft())
        while long and left and (long[0].over or time.steady - long[0].since >= STAYS_S):
            left -= not long[0].over
            self._let_go_behind(long.popleft(), time)

    def _let_go(self, attempt: Attempt) -> None:
        # Its step may be gone without this: a job in front of parked ones stands in the table with them.
        if attempt.over:
            return
        if attempt.entry.state is not State.ACTIVE:
            writes = outcome.started(attempt.entry, attempt.began)
            self._writing.write(attempt.home, attempt.entry, writes)
        self._long.append(attempt)

    def _let_go_behind(self, attempt: Attempt, time: Time) -> None:
        home = attempt.home
        if not attempt.over and not home.closing:
            self._writing.park(home, home.scheduler.parked_behind(attempt.entry), time)
