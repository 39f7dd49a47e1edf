"""Bugs in cancels."""

from typing import Any

import msgspec

from ops.simulation.bugs.wrong import Mutation, nobody
from streams.core import cancelling, outcome
from streams.core.cancelling import Cancelling
from streams.core.entry import Entry
from streams.core.home import Home
from streams.core.scheduler import Scheduler
from streams.core.turns import Turns


def _not_remembered(right: Any) -> Any:
    return lambda self, home, command: self._write(home, command, outcome.Writes(0))


def _front_found(right: Any) -> Any:
    def find(self: Scheduler, name: bytes, job_id: str) -> Any:
        key = self._keys.get(name)
        return right(self, name, job_id) if key is None else key.front

    return find


def _asked_without_note(right: Any) -> Any:
    return lambda self, attempt, says, time: self._hands.cancel(attempt)


def _told_nobody(right: Any) -> Any:
    def drop(self: Cancelling, home: Home, entry: Entry, says: str, time: Any) -> None:
        self._hands.write(entry, outcome.cancelled(entry, outcome.Cancelled(says), time.wall))

    return drop


def _checked_in_all_the_same(right: Any) -> Any:
    def checked_in(self: Turns, attempt: Any, time: Any) -> None:
        attempt.cancel = None
        right(self, attempt, time)

    return checked_in


def _over_at_once(right: Any) -> Any:
    def marked(command: Entry) -> Any:
        writes = right(command)
        writes.parked = msgspec.structs.replace(writes.parked, due=command.job.accepted_at)
        return writes

    return marked


BUGS: dict[str, Mutation] = {
    "a cancel that comes before its job is lost": (Cancelling, "_remember", _not_remembered),
    "a cancel is forgotten before its job comes": (cancelling, "marked", _over_at_once),
    "a job that is cancelled while it checks in runs": (Turns, "checked_in", _checked_in_all_the_same),
    "a job that was cancelled runs": (Cancelling, "_drop", nobody),
    "a cancel ends the job in front instead": (Scheduler, "find", _front_found),
    "a cancelled job stops its key": (Scheduler, "withdrawn", nobody),
    "a cancel is written and the order keeps the job": (Cancelling, "_drop", _told_nobody),
    "a cancel is forgotten with the owner that was asked": (Cancelling, "turn", lambda _: lambda *_: None),
    "a running job that was cancelled is tried again": (Cancelling, "_ask", _asked_without_note),
    "who is asked to stop is killed at once": (cancelling, "GRACE_S", lambda _: 0.0),
    "a cancel that was carried out is never forgotten": (Cancelling, "_forget", nobody),
}
