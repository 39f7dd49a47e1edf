"""What is known of a job before it runs: of its idempotency key, and of its series."""

import msgspec

from schemas.records import IdempotencyEntry
from streams.core import attempt as rules
from streams.core import outcome
from streams.core.entry import Entry
from streams.core.outcome import Outcome, Repeated
from streams.core.ports import Tables, Time


class Known:
    """Asks the table; writes nothing."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def of(self, entry: Entry) -> IdempotencyEntry | None:
        """What is known of a job's key."""
        key = entry.job.idempotency
        return None if key is None else self._tables.known(entry.partition, key)

    def answer(self, entry: Entry, known: IdempotencyEntry | None, time: Time) -> Outcome | None:
        """How a job ends whose turn has come, without running; None: it is to run."""
        return Repeated() if self.repeats(entry, known, time) else rules.answer(entry, known, time.wall)

    def repeats(self, entry: Entry, known: IdempotencyEntry | None, time: Time) -> bool:
        """Whether this series of the job has ended, or a later one completed: another request was first."""
        if known is not None and isinstance(outcome.seen_before(entry, known, time.wall), Repeated):
            return True
        if not entry.job.series:
            return False
        series = self._tables.known(entry.partition, outcome.series_key(entry.job))
        return outcome.is_repeat(entry, series, time.wall)

    def numbered(self, entry: Entry, time: Time) -> IdempotencyEntry | None:
        """What is known of a job's key; the job has its series then."""
        known = self.of(entry)
        if known is not None:
            self.number(entry, known, time)
        return known

    @staticmethod
    def number(entry: Entry, known: IdempotencyEntry | None, time: Time) -> None:
        """A job that was handed in again after its end gets another series before anything is said of it."""
        series = outcome.following_series(entry.job, known, time.wall)
        if series != entry.job.series and entry.number == 1:
            entry.job = msgspec.structs.replace(entry.job, series=series)
