"""The end of an attempt: its outcome is written, slot and lease are free, the next of its key follows."""

from typing import Any

from schemas.records import Failure
from streams.core.attempt import Attempt
from streams.core.backoff import Dead, Random, Retry, after_failure
from streams.core.blast import Deaths
from streams.core.cancelling import Cancelling
from streams.core.entry import Entry
from streams.core.gates import Gates, type_gate
from streams.core.home import Home
from streams.core.leases import CallEnd
from streams.core.limited import NOT_STARTED, Limited, end_of
from streams.core.outcome import Cancelled, Completed, Outcome
from streams.core.ports import Hands, Time
from streams.core.ready import Ready
from streams.core.writing import Writing

_WELL = CallEnd(True)


class Endings:
    """Ends attempts, each once."""

    def __init__(
        self, hands: Hands, writing: Writing, random: Random, ready: Ready, gates: Gates,
        limited: Limited, cancelling: Cancelling, deaths: Deaths,
    ) -> None:  # fmt: skip
        self._hands, self._writing, self._random = hands, writing, random
        self._ready, self._gates = ready, gates
        self._limited, self._cancelling, self._deaths = limited, cancelling, deaths

    def completed(self, attempt: Attempt, result: str, carried: Any, time: Time) -> None:
        """The handler returned."""
        self._limited.ended(attempt, _WELL)
        self.end(attempt, Completed(result, carried), time)

    def failed(self, attempt: Attempt, failure: Failure, retry_after_s: float | None, time: Time) -> None:
        """The handler failed: it is tried again, dead, or cancelled if that was asked for."""
        self._limited.ended(attempt, end_of(failure, retry_after_s))
        entry, result = attempt.entry, None
        if attempt.cancel is None:
            result = after_failure(entry.job, entry.attempt, failure, time.wall, self._random, retry_after_s)
        self.end(attempt, result or Cancelled(attempt.cancel or "", failure), time)

    def stopped(self, attempt: Attempt, time: Time) -> None:
        """The handler was cancelled; with its partition the next owner decides."""
        if attempt.home.closing:
            self.leave(attempt)
        else:
            self.failed(attempt, Failure("stopped", "the handler was cancelled", retryable=True), None, time)

    def end(self, attempt: Attempt, result: Outcome, time: Time) -> None:
        """Write the outcome, give the slot back, and let the next of the key take its turn."""
        home = attempt.home
        try:
            if not attempt.over and not home.gone:
                result = self._writing.end(attempt, result, time)
                if not home.gone:
                    self._hands.ended(attempt, result)
                    self._cancelling.ended(home, attempt)
                    self._look_at_deaths(attempt.entry, result, time)
                if not home.closing:
                    self._follow(home, attempt.entry, result, time)
        finally:
            self.leave(attempt)

    def leave(self, attempt: Attempt) -> None:
        """The attempt is over without an outcome of ours: its slot is free. Once."""
        if not attempt.over:
            attempt.over, attempt.entry.under_way = True, None
            self._limited.ended(attempt, NOT_STARTED)
            self._ready.free(attempt.entry)

    def _follow(self, home: Home, entry: Entry, result: Outcome, time: Time) -> None:
        if isinstance(result, Retry):
            self._writing.park(home, home.scheduler.retry(entry, result.due), time)
        else:
            home.scheduler.finished(entry, time.wall)

    def _look_at_deaths(self, entry: Entry, result: Outcome, time: Time) -> None:
        """Hold the type of a job when too many of its kind have died."""
        dead, kind = isinstance(result, Dead), entry.job.type
        if not dead and not isinstance(result, Completed):
            return
        reason = self._deaths.ended(kind, dead=dead, now_s=time.steady)
        if reason is not None and self._gates.is_open(type_gate(kind)):
            self._gates.closed.add(type_gate(kind))
            self._hands.hold_type(entry, reason)
