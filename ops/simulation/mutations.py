"""Bugs to be planted into the real core, to show that the simulator finds them.

Each replaces one function of the core by a version with one mistake, for as long as the `with` block lasts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from heapq import heappush
from typing import Any

import msgspec

from schemas.catalogue import JOB_TYPES
from schemas.priorities import Lane
from schemas.records import Failure
from schemas.states import State
from streams.core import attempt as attempts
from streams.core import machine, outcome
from streams.core.backoff import Dead
from streams.core.entry import Entry
from streams.core.home import Home
from streams.core.machine import Machine
from streams.core.outcome import Duplicate
from streams.core.ports import Unwritable
from streams.core.scheduler import Key, Park, Scheduler
from streams.transport.tracker import Tracker

Mutation = tuple[Any, str, Callable[[Any], Any]]
"""Where, which name, and the wrong version made from the right one."""


def _before_its_commit(right: Any) -> Any:
    def check_in(self: Machine, attempt: Any, time: Any) -> None:
        self._write(attempt.home, attempt.entry, outcome.started(attempt.entry, time.wall))
        self._run(attempt, time)

    return check_in


def _to_the_back(right: Any) -> Any:
    def retry(self: Scheduler, entry: Entry, due: int) -> list[Park]:
        heappush(self._timed, (due, entry.position, None))
        key = self._keys[entry.key]
        key.front = None
        self._advance(entry.key, key)
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


def _forgotten(holder: bool, state: State) -> Callable[[Any], Any]:
    def wrong(right: Any) -> Any:
        def restore(self: Scheduler, place: bytes, parked: Any) -> None:
            if parked.holder != holder or parked.state != state:
                right(self, place, parked)

        return restore

    return wrong


def _without_row(right: Any) -> Any:
    def checked_in(recorder: Any) -> Any:
        writes = right(recorder)
        writes.parked = None
        return writes

    return checked_in


def _freed_at_start(right: Any) -> Any:
    def run(self: Machine, attempt: Any, time: Any) -> None:
        self._ready.free(attempt.entry)
        right(self, attempt, time)

    return run


def _delayed_holds(right: Any) -> Any:
    def arrive(self: Scheduler, entry: Entry, now: int) -> list[Park]:
        due, key = entry.job.not_before or 0, self._keys.setdefault(entry.key, Key())
        if due <= now or key.front is not None:
            parks: list[Park] = right(self, entry, now)
            return parks
        key.front, entry.waits = entry, True
        heappush(self._timed, (due, entry.position, entry))
        return [Park(entry, State.DELAYED, due)]

    return arrive


def _too_soon(right: Any) -> Any:
    return lambda self, entry, due: right(self, entry, due - 400)


def _one_more(right: Any) -> Any:
    return lambda job, *rest: right(msgspec.structs.replace(job, attempts=job.attempts + 1), *rest)


def _refused_again(right: Any) -> Any:
    def after(job: Any, attempt: int, failure: Failure, *rest: Any) -> Any:
        return right(job, attempt, Failure(failure.error_class, failure.message, retryable=True), *rest)

    return after


def _uncounted(right: Any) -> Any:
    def restore(self: Scheduler, place: bytes, parked: Any) -> None:
        right(self, place, parked)
        front = self._keys[place[:16]].front
        if parked.holder and front is not None and not front.waits:
            front.interruptions -= 1

    return restore


def _by_type_only(right: Any) -> Any:
    return lambda entry: JOB_TYPES[entry.job.type].check_in


def _unasked(right: Any) -> Any:
    return lambda entry, known, now: right(entry, None, now)


def _unremembered(right: Any) -> Any:
    def completed(*given: Any) -> Any:
        writes = right(*given)
        writes.idempotency = None
        return writes

    return completed


def _any_data(right: Any) -> Any:
    def seen(entry: Entry, known: Any, now: int) -> Any:
        found = right(entry, known, now)
        return Duplicate(known.job_id, known.result) if isinstance(found, Failure) else found

    return seen


def _letterless(right: Any) -> Any:
    def dead(*given: Any) -> Any:
        writes = right(*given)
        writes.dead_letter = None
        return writes

    return dead


def _old_number(right: Any) -> Any:
    def progressed(*given: Any) -> Any:
        writes = right(*given)
        writes.parked = msgspec.structs.replace(writes.parked, next_number=writes.parked.next_number - 1)
        return writes

    return progressed


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


def _after_death_nothing(right: Any) -> Any:
    def follow(self: Machine, home: Home, entry: Entry, result: Any, time: Any) -> None:
        if not isinstance(result, Dead):
            right(self, home, entry, result, time)

    return follow


def _due_is_only_counted(right: Any) -> Any:
    def due(self: Scheduler, now: int) -> None:
        advance, self._advance = self._advance, lambda *_: None  # type: ignore[method-assign]
        try:
            right(self, now)
        finally:
            self._advance = advance  # type: ignore[method-assign]

    return due


def _old_life(right: Any) -> Any:
    return Home.close


def _urgent_first(right: Any) -> Any:
    def arrive(self: Scheduler, entry: Entry, now: int) -> list[Park]:
        key = self._keys.get(entry.key)
        if entry.lane is Lane.URGENT and key is not None and key.front is not None and key.front.waits:
            self._ready.add(entry)
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


def _starts_while_closing(right: Any) -> Any:
    def close(self: Home) -> None:
        self.closing = True

    return close


def _row_stays(right: Any) -> Any:
    def completed(entry: Entry, *rest: Any) -> Any:
        row = entry.parked(State.ACTIVE, holder=True) if entry.step is None else None
        writes = right(entry, *rest)
        writes.parked = row
        return writes

    return completed


def _lost_runs(right: Any) -> Any:
    def lost(self: Machine, attempt: Any, time: Any) -> None:
        if attempt.over:
            return
        self._run(attempt, time)

    return lost


def _stepped_back_and_gone(right: Any) -> Any:
    return lambda self, key, front: self._ready.discard(front)


def _in_order_only(right: Any) -> Any:
    def complete(self: Tracker, low: int, high: int) -> None:
        right(self, self.base, high)

    return complete


def _never(right: Any) -> Any:
    return property(lambda _: False)


def _always(right: Any) -> Any:
    return lambda *_: True


def _slot_kept(right: Any) -> Any:
    return lambda self, attempt, time: attempt.home.lose()


def _front_for_ever(right: Any) -> Any:
    def record(self: Machine, attempt: Any, result: Any, time: Any) -> Any:
        with suppress(Unwritable):
            self._write(
                attempt.home, attempt.entry, attempts.writes_of(attempt, result, time.wall, self._hands)
            )
        return result

    return record


MUTATIONS: dict[str, Mutation] = {
    "an effect before its check-in is committed": (Machine, "_check_in", _before_its_commit),
    "a check-in that is good for ever": (attempts, "is_valid", _always),
    "a check-in that was never committed runs all the same": (Machine, "lost", _lost_runs),
    "a retry goes to the back of its key": (Scheduler, "retry", _to_the_back),
    "two jobs of a key at a time": (Scheduler, "arrive", _all_at_once),
    "an urgent job overtakes one that waits for its retry": (Scheduler, "arrive", _urgent_first),
    "a job whose retry is due is overtaken": (Entry, "began", _never),
    "a retry is forgotten at a take-over": (Scheduler, "restore", _forgotten(True, State.DELAYED)),
    "an active job is forgotten at a take-over": (Scheduler, "restore", _forgotten(True, State.ACTIVE)),
    "a waiting job is forgotten at a take-over": (Scheduler, "restore", _forgotten(False, State.WAITING)),
    "a delayed job is forgotten at a take-over": (Scheduler, "restore", _forgotten(False, State.DELAYED)),
    "a long job's offset is let go without its row": (outcome, "_checked_in", _without_row),
    "a commit passes over offsets that are not done": (Tracker, "complete", _in_order_only),
    "a slot is free while its job still runs": (Machine, "_run", _freed_at_start),
    "a slot is never given back when its check-in is lost": (Machine, "lost", _slot_kept),
    "a delayed job holds its key": (Scheduler, "arrive", _delayed_holds),
    "a retry runs before its time": (Scheduler, "retry", _too_soon),
    "an attempt too many": (machine, "after_failure", _one_more),
    "what was refused is tried again": (machine, "after_failure", _refused_again),
    "interruptions are not counted": (Scheduler, "restore", _uncounted),
    "interruptions are counted in memory only": (attempts, "must_check_in", _by_type_only),
    "the idempotency table is not asked": (attempts, "answer", _unasked),
    "a completed key is not remembered": (outcome, "completed", _unremembered),
    "other data under a key is a duplicate": (outcome, "seen_before", _any_data),
    "a dead job without its letter": (outcome, "dead", _letterless),
    "progress does not count in the history": (outcome, "progressed", _old_number),
    "a take-over counts the attempts from one": (outcome, "retried", _first_attempt),
    "a lane that was full stays held": (Home, "left", _unreleased),
    "nothing follows a dead job": (Machine, "_follow", _after_death_nothing),
    "what is due is counted but not started": (Scheduler, "due", _due_is_only_counted),
    "an outcome of an earlier ownership counts": (Home, "lose", _old_life),
    "parked jobs are not counted": (Scheduler, "_park_all", _parked_uncounted),
    "parked jobs overtake their front at a take-over": (Scheduler, "_park_all", _front_not_parked),
    "a partition that goes starts more jobs": (Home, "close", _starts_while_closing),
    "a job that ended stays in the table": (outcome, "completed", _row_stays),
    "what no record can hold is dropped": (Machine, "_record", _front_for_ever),
    "a job that an urgent one overtakes is gone": (Scheduler, "_step_back", _stepped_back_and_gone),
}  # fmt: skip


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The core with this bug, until the block ends."""
    where, attribute, wrong = MUTATIONS[name]
    right = vars(where)[attribute]
    setattr(where, attribute, wrong(right))
    try:
        yield
    finally:
        setattr(where, attribute, right)
