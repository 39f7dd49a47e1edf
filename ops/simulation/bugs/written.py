"""Bugs in what is written and remembered."""

from contextlib import suppress
from typing import Any

import msgspec

from ops.simulation.bugs.wrong import Mutation
from schemas.records import Failure
from schemas.states import State
from streams.core import attempt as attempts
from streams.core import outcome
from streams.core.entry import Entry
from streams.core.outcome import Duplicate
from streams.core.ports import Unwritable
from streams.core.writing import Writing
from streams.transport.tracker import Tracker


def _without_row(right: Any) -> Any:
    def checked_in(recorder: Any) -> Any:
        writes = right(recorder)
        writes.parked = None
        return writes

    return checked_in


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


def _row_stays(right: Any) -> Any:
    def completed(entry: Entry, *rest: Any) -> Any:
        row = entry.parked(State.ACTIVE, holder=True) if entry.step is None else None
        writes = right(entry, *rest)
        writes.parked = row
        return writes

    return completed


def _in_order_only(right: Any) -> Any:
    def complete(self: Tracker, low: int, high: int) -> None:
        right(self, self.base, high)

    return complete


def _front_for_ever(right: Any) -> Any:
    def end(self: Writing, attempt: Any, result: Any, time: Any) -> Any:
        with suppress(Unwritable):
            self._end(attempt, result, time)
        return result

    return end


def _any_end(right: Any) -> Any:
    return lambda known, now: known.expires_at > now


def _over_anothers(right: Any) -> Any:
    return lambda recorder, known, *rest: right(recorder, None, *rest)


def _another_answer(right: Any) -> Any:
    return lambda entry, found, now: right(entry, Duplicate(found.of, "{}"), now)


def _for_a_moment(right: Any) -> Any:
    def remembered(recorder: Any, *rest: Any) -> Any:
        writes = right(recorder, *rest)
        if writes.idempotency is not None:
            writes.idempotency = msgspec.structs.replace(writes.idempotency, expires_at=recorder.now)
        return writes

    return remembered


def _without_errors(right: Any) -> Any:
    def restored(cls: Any, *given: Any) -> Entry:
        entry: Entry = right.__func__(cls, *given)
        entry.errors = ()
        return entry

    return classmethod(restored)


BUGS: dict[str, Mutation] = {
    "the idempotency table is not asked": (attempts, "answer", _unasked),
    "a completed key is not remembered": (outcome, "completed", _unremembered),
    "other data under a key is a duplicate": (outcome, "seen_before", _any_data),
    "a job that ends otherwise forgets another's effect": (outcome, "_remembered", _over_anothers),
    "an effect is known for a moment only": (outcome, "_remembered", _for_a_moment),
    "a take-over forgets why earlier attempts failed": (Entry, "restored", _without_errors),
    "a duplicate gets another answer": (outcome, "duplicate", _another_answer),
    "a dead job without its letter": (outcome, "dead", _letterless),
    "progress does not count in the history": (outcome, "progressed", _old_number),
    "a job that ended stays in the table": (outcome, "completed", _row_stays),
    "what no record can hold is dropped": (Writing, "end", _front_for_ever),
    "a long job's offset is let go without its row": (outcome, "_checked_in", _without_row),
    "a commit passes over offsets that are not done": (Tracker, "complete", _in_order_only),
    "a job is a duplicate of one that was cancelled or died": (outcome, "is_effect", _any_end),
}
