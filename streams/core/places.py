"""The places of jobs that compute: each runs in a process, of which there are so many.

A job that finds none waits at a gate like one whose provider has no room: without a slot of the worker, with
its key. Else a few that compute would stop all that only wait for somebody's answer.
"""

from collections.abc import Collection

from streams.core.attempt import Attempt
from streams.core.gates import PROCESS_GATE, Gates


class Places:
    """`most` at a time. `kinds` are the job types that need one; without any the gate is open."""

    def __init__(self, most: int, kinds: Collection[str], gates: Gates) -> None:
        self._gates, self._most = gates, most if kinds else 0
        self._taken: set[Attempt] = set()
        self._is_freed = False
        if kinds:
            gates.closed.add(PROCESS_GATE)

    def take(self, attempt: Attempt, called: bool) -> bool:
        """Whether the job has a place now; others that wait were first, unless it was called."""
        if len(self._taken) >= self._most or (not called and self._gates.waiting(PROCESS_GATE)):
            return False
        self._taken.add(attempt)
        return True

    def give_back(self, attempt: Attempt) -> None:
        """It runs no longer, or never did."""
        if attempt in self._taken:
            self._taken.discard(attempt)
            self._is_freed = True

    def room(self) -> int:
        """How many may be called now, when there is anything to call them for."""
        free = self._most - len(self._taken)
        if free and (self._is_freed or self._gates.waiting(PROCESS_GATE)):
            self._is_freed = False
            return free
        return 0
