"""When a type has to be held because its jobs die, counted again: not the core's own word for it."""

from streams.core.backoff import Dead
from streams.core.blast import HoldRule
from streams.core.outcome import Completed, Outcome


class Deaths:
    """What ended in one process: by type, when, and whether it died. `due`: the types that are to be held."""

    def __init__(self, rule: HoldRule) -> None:
        self.due: set[str] = set()
        self._rule = rule
        self._ends: dict[str, list[tuple[int, bool]]] = {}

    def ended(self, kind: str, result: Outcome, now_s: float) -> None:
        """A job has ended."""
        if not isinstance(result, Dead | Completed):
            return
        dead, begin = isinstance(result, Dead), now_s - self._rule.window_s
        ends = [*self._ends.get(kind, ()), (int(now_s), dead)]
        ends = self._ends[kind] = [end for end in ends if end[0] >= begin]
        died = sum(end[1] for end in ends)
        if dead and len(ends) >= self._rule.least and died > self._rule.share * len(ends):
            self.due.add(kind)
            del self._ends[kind]
