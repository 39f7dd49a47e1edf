"""Bugs in what an attempt may do, and when it counts."""

from typing import Any

import msgspec

from ops.simulation.bugs.wrong import Mutation, no, nobody
from schemas.catalogue import JOB_TYPES
from schemas.records import Failure
from streams.core import attempt as attempts
from streams.core import backoff, endings, outcome, ready
from streams.core.entry import Entry
from streams.core.home import Home
from streams.core.lasting import Lasting
from streams.core.machine import Machine
from streams.core.standing import Standing
from streams.core.turns import Turns


def _before_its_commit(right: Any) -> Any:
    def check_in(self: Turns, attempt: Any, time: Any) -> None:
        self._writing.write(attempt.home, attempt.entry, outcome.started(attempt.entry, time.wall))
        self._run(attempt, time)

    return check_in


def _freed_at_start(right: Any) -> Any:
    def run(self: Turns, attempt: Any, time: Any) -> None:
        self._ready.free(attempt.entry)
        right(self, attempt, time)

    return run


def _one_more(right: Any) -> Any:
    return lambda job, *rest: right(msgspec.structs.replace(job, attempts=job.attempts + 1), *rest)


def _refused_again(right: Any) -> Any:
    def after(job: Any, attempt: int, failure: Failure, *rest: Any) -> Any:
        return right(job, attempt, Failure(failure.error_class, failure.message, retryable=True), *rest)

    return after


def _uncounted(right: Any) -> Any:
    def restored(cls: Any, place: bytes, partition: int, parked: Any) -> Entry:
        entry: Entry = right.__func__(cls, place, partition, parked)
        entry.interruptions = parked.interruptions
        return entry

    return classmethod(restored)


def _by_type_only(right: Any) -> Any:
    def check_in(self: Turns, attempt: Any, time: Any) -> None:
        by_type = JOB_TYPES[attempt.entry.job.type].check_in
        right(self, attempt, time) if by_type else self._run(attempt, time)

    return check_in


def _first_attempt(right: Any) -> Any:
    def retried(*given: Any) -> Any:
        writes = right(*given)
        writes.parked = msgspec.structs.replace(writes.parked, attempt=1)
        return writes

    return retried


def _unreleased(right: Any) -> Any:
    def left(self: Home, entry: Entry) -> None:
        if entry.counted:
            entry.counted = False
            self.in_memory[entry.lane] -= 1

    return left


def _old_life(right: Any) -> Any:
    return Home.close


def _starts_while_closing(right: Any) -> Any:
    def close(self: Home) -> None:
        self.closing = True

    return close


def _lost_runs(right: Any) -> Any:
    def lost(self: Machine, attempt: Any, time: Any) -> None:
        if attempt.over:
            return
        self._turns._run(attempt, time)

    return lost


def _always(right: Any) -> Any:
    return lambda *_: True


def _not_so(right: Any) -> Any:
    return lambda *_: False


def _slot_kept(right: Any) -> Any:
    return lambda self, attempt, time: attempt.home.lose()


def _from_its_commit(right: Any) -> Any:
    def checked_in(self: Turns, attempt: Any, time: Any) -> None:
        attempt.sent = time.steady
        right(self, attempt, time)

    return checked_in


def _unasked(right: Any) -> Any:
    return lambda job, attempt, failure, now, random, *_: right(job, attempt, failure, now, random)


BUGS: dict[str, Mutation] = {
    "an effect that may have happened is repeated": (attempts, "parks_unknown", _not_so),
    "an effect before its check-in is committed": (Turns, "_check_in", _before_its_commit),
    "a check-in that is good for ever": (attempts, "is_valid", _always),
    "a check-in that was never committed runs all the same": (Machine, "lost", _lost_runs),
    "a check-in is good from its commit on": (Turns, "checked_in", _from_its_commit),
    "a check-in is good for ever for who waits for its next token": (
        attempts, "is_checked_in", lambda _: lambda attempt, time: attempt.entry.checked_in,
    ),
    "an attempt too many": (endings, "after_failure", _one_more),
    "what was refused is tried again": (endings, "after_failure", _refused_again),
    "a retry does not wait": (backoff, "delay_ms", lambda _: lambda *_: 0),
    "a pause that a provider asks for is not kept": (endings, "after_failure", _unasked),
    "interruptions are not counted": (Entry, "restored", _uncounted),
    "two interruptions are enough": (outcome, "MAX_INTERRUPTIONS", lambda _: 2),
    "interruptions are counted in memory only": (Turns, "_check_in", _by_type_only),
    "nobody is suspected after a death": (Home, "suspects_next", no),
    "a partition that is handed over is cleared of suspicion": (Machine, "suspects", no),
    "a slot is free while its job still runs": (Turns, "_run", _freed_at_start),
    "a slot is never given back when its check-in is lost": (Machine, "lost", _slot_kept),
    "an outcome of an earlier ownership counts": (Home, "lose", _old_life),
    "a partition that goes starts more jobs": (Home, "close", _starts_while_closing),
    "a take-over counts the attempts from one": (outcome, "retried", _first_attempt),
    "a lane that was full stays held": (Home, "left", _unreleased),
    "what waits at a gate in memory holds its offset": (Standing, "_let_stand", nobody),
    "what waits behind a long job holds its offset": (Lasting, "_let_go_behind", nobody),
    "what is not urgent takes every slot": (ready, "SHARE", lambda _: (1.0, 1.0, 1.0)),
    "a long job holds its offset": (Lasting, "_let_go", nobody),
    "no job is long where the loop is far behind": (attempts, "LONG_AT_LATEST_S", lambda _: float("inf")),
}  # fmt: skip
