"""Bugs in what waits in the table, and in how it is read."""

from typing import Any

from ops.simulation import owned
from ops.simulation.bugs.wrong import Mutation, unlisted, unseen
from schemas.states import State
from streams.core.rows import Cursor, Rows
from streams.core.scheduler import Key, Park, Scheduler
from streams.core.timers import Timers


def _is_retry(row: Any) -> bool:
    return bool(row.holder) and row.state == State.DELAYED


def _is_active(row: Any) -> bool:
    return bool(row.state == State.ACTIVE)


def _is_behind(row: Any) -> bool:
    return not row.holder and row.state == State.WAITING


def _is_delayed(row: Any) -> bool:
    return not row.holder and row.state == State.DELAYED


def _only_for_those_in_memory(right: Any) -> Any:
    def hint(self: Scheduler, name: bytes) -> None:
        if name in self._keys:
            right(self, name)

    return hint


def _first_page_only(right: Any) -> Any:
    def load(self: Timers) -> None:
        right(self)
        self._rest = None

    return load


def _cut_away(right: Any) -> Any:
    def cut(self: Timers) -> None:
        rest = self._rest
        right(self)
        self._rest = rest

    return cut


def _one_too_far(right: Any) -> Any:
    def load(self: Timers) -> None:
        right(self)
        if self._rest is not None and self._soon:
            self._soon.pop()

    return load


def _one_key_only(right: Any) -> Any:
    def next_key(self: Cursor, now: int) -> bytes | None:
        found: bytes | None = right(self, now)
        self._at = None
        return found

    return next_key


def _asks_nobody(right: Any) -> Any:
    return property(lambda _: False)


def _without_more(right: Any) -> Any:
    def next_of(*given: Any) -> Any:
        return right(*given)._replace(behind=False)

    return next_of


def _no_room_again(right: Any) -> Any:
    return lambda self, entry: setattr(entry, "loaded", False)


def _from_here_on(right: Any) -> Any:
    def park_all(self: Scheduler, key: Key) -> list[Park]:
        since = key.since
        parks: list[Park] = right(self, key)
        key.since = since
        return parks

    return park_all


BUGS: dict[str, Mutation] = {
    "a retry is forgotten at a take-over": (owned, "entries_of", unlisted(_is_retry)),
    "an active job is forgotten at a take-over": (owned, "entries_of", unlisted(_is_active)),
    "a waiting job is forgotten at a take-over": (owned, "entries_of", unlisted(_is_behind)),
    "a delayed job is forgotten at a take-over": (owned, "entries_of", unlisted(_is_delayed)),
    "a retry does not hold its key": (owned, "entries_of", unseen(_is_retry)),
    "an interrupted job does not hold its key": (owned, "entries_of", unseen(_is_active)),
    "a key does not see who waits behind": (owned, "entries_of", unseen(_is_behind)),
    "of what is due only the first page is read": (Timers, "_load", _first_page_only),
    "a page of what is due loses its last row": (Timers, "_load", _one_too_far),
    "what is put aside for want of memory is never read": (Timers, "_cut", _cut_away),
    "a take-over ends after the first key": (Cursor, "next_key", _one_key_only),
    "a job that comes does not ask whether its key has rows": (Scheduler, "_may_have_rows", _asks_nobody),
    "behind a key's first row nobody looks": (Rows, "next_of", _without_more),
    "what was read from the table keeps its room": (Scheduler, "_unload", _no_room_again),
    "a row parked before the last one read is not seen": (Scheduler, "_park_all", _from_here_on),
    "what is due wakes only keys in memory": (Scheduler, "_hint", _only_for_those_in_memory),
}
