"""A job's turn: everything that is ready and has a slot is answered, stands at a gate, checks in, or runs."""

from collections.abc import Mapping

from streams.core import attempt as rules
from streams.core.attempt import Attempt
from streams.core.cancelling import Cancelling
from streams.core.endings import Endings
from streams.core.gates import PROCESS_GATE, Gates, group_gate, keeps_key
from streams.core.home import Home
from streams.core.known import Known
from streams.core.lasting import Lasting
from streams.core.limited import Limited
from streams.core.outcome import Cancelled
from streams.core.places import Places
from streams.core.ports import Hands, Time
from streams.core.ready import Ready
from streams.core.standing import Standing
from streams.core.writing import Writing


class Turns:
    """From `Ready` to the handler."""

    def __init__(
        self, hands: Hands, homes: Mapping[int, Home], ready: Ready, gates: Gates, known: Known,
        writing: Writing, limited: Limited, cancelling: Cancelling, standing: Standing, lasting: Lasting,
        endings: Endings, places: Places,
    ) -> None:  # fmt: skip
        self._hands, self._homes, self._ready, self._gates = hands, homes, ready, gates
        self._known, self._writing, self._limited, self._cancelling = known, writing, limited, cancelling
        self._standing, self._lasting, self._endings = standing, lasting, endings
        self._places = places

    def start(self, time: Time) -> None:
        """Everything that is ready and has a slot."""
        room = self._places.room()
        if room:
            self._standing.go_on(PROCESS_GATE, room)
        while (entry := self._ready.take()) is not None:
            home = self._homes[entry.partition]
            gate = self._gates.closed_for(entry.job)
            if not home.scheduler.confirm(entry):
                self._ready.free(entry)
            elif gate is not None and not keeps_key(gate) and not self._cancelling.turn(home, entry, time):
                self._standing.stand(home, entry, gate, time)
            else:
                self._begin(Attempt(entry, home, time.wall), gate, time)

    def checked_in(self, attempt: Attempt, time: Time) -> None:
        """Its check-in is committed: it may start, if that is not too long ago."""
        attempt.home.proved = max(attempt.home.proved, attempt.sent)
        if attempt.over or attempt.home.gone:
            self._endings.leave(attempt)
        elif attempt.cancel is not None:
            self._endings.end(attempt, Cancelled(attempt.cancel), time)
        elif not self._limited.may_start(attempt, time):
            self._wait_anew(attempt, time)
        elif rules.is_valid(attempt, time):
            self._run(attempt, time)
        else:
            self._check_in(attempt, time)

    def _begin(self, attempt: Attempt, gate: str | None, time: Time) -> None:
        """Its turn has come: answer it, or run it if the provider's gate lets it pass."""
        entry = attempt.entry
        known = self._known.of(entry)
        if known is not None:
            self._known.number(entry, known, time)
        result = self._cancelling.turn(attempt.home, entry, time) or self._known.answer(entry, known, time)
        if result is not None:
            self._endings.end(attempt, result, time)
        elif gate is not None and not self._limited.lets_pass(attempt, gate, time):
            self._standing.stand(attempt.home, entry, gate, time)
        elif rules.is_checked_in(attempt, time):
            self._run(attempt, time)
        elif rules.must_check_in(entry) or attempt.home.suspects_next():
            self._check_in(attempt, time)
        else:
            self._run(attempt, time)

    def _wait_anew(self, attempt: Attempt, time: Time) -> None:
        """Its check-in took too long for its token: back to the gate, checked in for the next token.

        Else no job would ever start where a commit takes longer than a token lasts.
        """
        if attempt.home.closing or attempt.lease is None:
            self._endings.leave(attempt)
        else:
            attempt.over = attempt.entry.checked_in = True
            self._standing.stand(attempt.home, attempt.entry, group_gate(attempt.lease.group), time)

    def _check_in(self, attempt: Attempt, time: Time) -> None:
        """Write that it runs, before it can have an effect: the commit proves that the job is ours."""
        attempt.sent, attempt.entry.under_way, attempt.entry.checked_in = time.steady, attempt, False
        if not self._writing.check_in(attempt, time):
            self._endings.leave(attempt)

    def _run(self, attempt: Attempt, time: Time) -> None:
        attempt.ran, attempt.since = True, time.steady
        attempt.entry.stood, attempt.entry.under_way, attempt.entry.checked_in = None, attempt, False
        self._lasting.started(attempt)
        self._hands.run(attempt)
