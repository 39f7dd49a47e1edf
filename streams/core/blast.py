"""How far a bad deploy reaches: a type of which too many jobs die is held, not made dead letters."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HoldRule:
    """Held is a type of which, within `window_s`, at least `least` jobs ended and more than `share` died."""

    share: float = 0.5
    least: int = 20
    window_s: float = 60.0


class _Ends:
    """What ended of one type lately: (when, how many, how many of them dead) by the second."""

    __slots__ = ("by_second", "dead", "ended")

    def __init__(self) -> None:
        self.by_second: deque[list[int]] = deque()
        self.ended = self.dead = 0

    def add(self, second: int, dead: bool) -> None:
        if not self.by_second or self.by_second[-1][0] != second:
            self.by_second.append([second, 0, 0])
        last = self.by_second[-1]
        last[1] += 1
        last[2] += dead
        self.ended += 1
        self.dead += dead

    def forget_before(self, second: float) -> None:
        while self.by_second and self.by_second[0][0] < second:
            _, ended, dead = self.by_second.popleft()
            self.ended -= ended
            self.dead -= dead


class Deaths:
    """The ends of all types in this process. After a type was held its count starts anew."""

    def __init__(self, rule: HoldRule) -> None:
        self._rule = rule
        self._by_type: dict[str, _Ends] = {}

    def ended(self, kind: str, *, dead: bool, now_s: float) -> str | None:
        """A job ended; why its type is to be held, if it is."""
        ends = self._by_type.get(kind)
        if ends is None:
            ends = self._by_type[kind] = _Ends()
        ends.add(int(now_s), dead)
        rule = self._rule
        ends.forget_before(now_s - rule.window_s)
        if not dead:
            return None
        if ends.ended < rule.least or ends.dead <= rule.share * ends.ended:
            return None
        del self._by_type[kind]
        return f"{ends.dead} of the {ends.ended} jobs that ended within {rule.window_s:g} s died"
