"""Bugs in the order of a key."""

from typing import Any

from ops.simulation.bugs.wrong import Mutation
from schemas.priorities import Lane
from streams.core.backoff import Dead
from streams.core.endings import Endings
from streams.core.entry import Entry
from streams.core.home import Home
from streams.core.scheduler import Key, Park, Scheduler


def _to_the_back(right: Any) -> Any:
    def retry(self: Scheduler, entry: Entry, due: int) -> list[Park]:
        self._timers[entry.lane].add(due, entry.position)
        self._advance(entry.key)
        return []

    return retry


def _all_at_once(right: Any) -> Any:
    def arrive(self: Scheduler, entry: Entry, now: int) -> list[Park]:
        if entry.job.not_before:
            parks: list[Park] = right(self, entry, now)
            return parks
        self._lead(self._keys.setdefault(entry.key, Key()), entry)
        return []

    return arrive


def _delayed_holds(right: Any) -> Any:
    def arrive(self: Scheduler, entry: Entry, now: int) -> list[Park]:
        due = entry.job.not_before or 0
        if due > now and entry.key not in self._keys:
            self._keys[entry.key] = Key(front=entry)
        parks: list[Park] = right(self, entry, now)
        return parks

    return arrive


def _too_soon(right: Any) -> Any:
    return lambda self, entry, due: right(self, entry, due - 400)


def _after_death_nothing(right: Any) -> Any:
    def follow(self: Endings, home: Home, entry: Entry, result: Any, time: Any) -> None:
        if not isinstance(result, Dead):
            right(self, home, entry, result, time)

    return follow


def _urgent_first(right: Any) -> Any:
    def arrive(self: Scheduler, entry: Entry, now: int) -> list[Park]:
        key = self._keys.get(entry.key)
        if entry.lane is Lane.URGENT and key is None and not (entry.job.not_before or 0) > now:
            self._lead(self._keys.setdefault(entry.key, Key()), entry)
            return []
        parks: list[Park] = right(self, entry, now)
        return parks

    return arrive


def _parked_uncounted(right: Any) -> Any:
    def park_all(self: Scheduler, key: Key) -> list[Park]:
        before = key.parked
        parks: list[Park] = right(self, key)
        key.parked = before
        return parks

    return park_all


def _front_not_parked(right: Any) -> Any:
    def park_all(self: Scheduler, key: Key) -> list[Park]:
        return [park for park in right(self, key) if park.entry is not key.front]

    return park_all


def _stepped_back_and_gone(right: Any) -> Any:
    return lambda self, key, front: self._ready.discard(front)


def _never(right: Any) -> Any:
    return property(lambda _: False)


BUGS: dict[str, Mutation] = {
    "a retry goes to the back of its key": (Scheduler, "retry", _to_the_back),
    "two jobs of a key at a time": (Scheduler, "arrive", _all_at_once),
    "an urgent job overtakes one that waits for its retry": (Scheduler, "arrive", _urgent_first),
    "a job whose retry is due is overtaken": (Entry, "began", _never),
    "a delayed job holds its key": (Scheduler, "arrive", _delayed_holds),
    "a retry runs before its time": (Scheduler, "retry", _too_soon),
    "parked jobs are not counted": (Scheduler, "_park_all", _parked_uncounted),
    "parked jobs overtake their front at a take-over": (Scheduler, "_park_all", _front_not_parked),
    "a job that an urgent one overtakes is gone": (Scheduler, "_step_back", _stepped_back_and_gone),
    "nothing follows a dead job": (Endings, "_follow", _after_death_nothing),
}
