"""Writes: what happens to a job is one step of its partition's owner, or is not written at all."""

from collections.abc import Iterable

from schemas.records import Failure
from schemas.states import State
from streams.core import attempt as rules
from streams.core import outcome
from streams.core.attempt import Attempt
from streams.core.backoff import Dead
from streams.core.entry import Entry
from streams.core.home import Home
from streams.core.known import Known
from streams.core.outcome import Cancelled, Outcome, Writes
from streams.core.ports import Hands, Time, Unwritable
from streams.core.scheduler import Park

MESSAGE_KEPT = 2_000


class Writing:
    """A partition that turns out to be another's is lost here; nothing of it is written from then on."""

    def __init__(self, hands: Hands, known: Known) -> None:
        self._hands, self._known = hands, known

    def write(self, home: Home, entry: Entry, writes: Writes) -> None:
        """One step of a job; nothing when its partition is gone."""
        if home.gone:
            return
        try:
            self._hands.write(entry, writes)
        except LookupError:
            home.lose()
        else:
            _wrote(home, entry)

    def check_in(self, attempt: Attempt, time: Time) -> bool:
        """Write that it runs, to be told of the commit; False when the partition is another's."""
        try:
            self._hands.check_in(attempt, outcome.started(attempt.entry, time.wall))
        except LookupError:
            attempt.home.lose()
            return False
        _wrote(attempt.home, attempt.entry)
        return True

    def park(self, home: Home, parks: Iterable[Park], time: Time) -> None:
        """The table has these from now on."""
        for park in parks:
            entry = park.entry
            if park.state is State.DELAYED:
                self.write(home, entry, outcome.delayed(entry, time.wall, park.due))
            else:
                self.write(home, entry, outcome.behind(entry))

    def end(self, attempt: Attempt, result: Outcome, time: Time) -> Outcome:
        """What was written: the outcome, or a dead letter when no record can hold it.

        Without that the job would stand in front of its key for ever, here and at the next owner.
        """
        entry = attempt.entry
        before = entry.state, entry.number, entry.attempt, entry.errors
        try:
            self._end(attempt, result, time)
        except Unwritable as error:
            entry.state, entry.number, entry.attempt, entry.errors = before
            result = Dead(Failure("unrecordable", str(error)[:MESSAGE_KEPT], retryable=False))
            self._end(attempt, result, time)
        return result

    def _end(self, attempt: Attempt, result: Outcome, time: Time) -> None:
        known = self._known.of(attempt.entry) if isinstance(result, Dead | Cancelled) else None
        writes = rules.writes_of(attempt, result, time.wall, self._hands, known)
        self.write(attempt.home, attempt.entry, writes)


def _wrote(home: Home, entry: Entry) -> None:
    entry.step = entry.at = None
    home.left(entry)
