"""Jobs come from a lane: each is a command, ends at the door, or gets its place in the order of its key."""

from collections import Counter
from collections.abc import Iterable

from schemas.commands import is_command
from schemas.priorities import Lane
from streams.core.cancelling import Cancelling
from streams.core.entry import Entry
from streams.core.home import Home
from streams.core.known import Known
from streams.core.ports import Hands, Time
from streams.core.writing import Writing


class Intake:
    """Takes jobs in, in their order, and holds a lane of which enough are in memory."""

    def __init__(
        self, hands: Hands, known: Known, writing: Writing, cancelling: Cancelling, caps: Counter[str]
    ) -> None:
        self._hands, self._known, self._writing = hands, known, writing
        self._cancelling, self._caps = cancelling, caps

    def take(self, home: Home, lane: Lane, entries: Iterable[Entry], time: Time) -> None:
        """Jobs of one lane, each with its open step."""
        for entry in entries:
            if home.closing:
                return  # the next owner reads them again
            if is_command(entry.job):
                self._cancelling.ordered(home, entry, time)
            elif not self._cancelling.met(home, entry, time):
                home.took(entry)
                if entry.job.not_before and entry.job.idempotency is not None:
                    self._known.numbered(entry, time)
                self._writing.park(home, home.scheduler.arrive(entry, time.wall), time)
        if home.is_full(lane):
            self._caps["lane"] += 1
            self._hands.hold(home.partition, lane)
