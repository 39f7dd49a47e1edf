"""Bugs in clears, and in jobs that are brought back as another series."""

from typing import Any

import msgspec

from ops.simulation.bugs.wrong import Mutation, no, nobody
from schemas.states import State
from streams.core import cancelling, cancels, orders, outcome
from streams.core.cancelling import Cancelling
from streams.core.orders import Orders
from streams.core.rows import DUE
from streams.core.sweep import Sweep


def _any_queue(right: Any) -> Any:
    def clears(order: Any, job: Any, state: Any) -> Any:
        return right(msgspec.structs.replace(order, queue=job.queue, type=None), job, state)

    return clears


def _not_the_delayed(right: Any) -> Any:
    def init(self: Sweep, *given: Any) -> None:
        right(self, *given)
        self._rest.remove(DUE)

    return init


def _any_series(right: Any) -> Any:
    return lambda job: msgspec.structs.replace(right(job), series=99)


BUGS: dict[str, Mutation] = {
    "a clear is forgotten by those who come later": (Orders, "clearing", nobody),
    "a clear ends the jobs of other queues": (orders, "clears", _any_queue),
    "a clear ends a job that was interrupted": (orders, "CLEARED", lambda _: frozenset(State)),
    "a clear or a cancel forgets that the job is active": (cancelling, "_is_under_way", no),
    "a clear is forgotten at a take-over": (Cancelling, "opened", nobody),
    "a clear leaves what is delayed": (Sweep, "__init__", _not_the_delayed),
    "a second request for a series runs": (outcome, "is_repeat", no),
    "that a series has ended is not remembered": (outcome, "_remember_series", nobody),
    "a job that is handed in again goes on in its old series": (
        outcome, "following_series", lambda _: lambda job, known, now: job.series,
    ),
    "a job that is brought back runs in its first series": (
        outcome, "following_series", lambda _: lambda job, known, now: 0,
    ),
    "a cancel of an older series ends the new one": (cancels, "cancel_of", _any_series),
}  # fmt: skip
