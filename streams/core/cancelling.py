"""Ends jobs because somebody asks for it: one by its id, or the older ones of a queue.

A job that waits ends at once, wherever it stands: in memory, in the table, at a gate, before its retry. One
that runs is asked to stop, and stopped after a grace. One that has not come yet is met at the door.
"""

from collections.abc import Callable, Iterable

from schemas.commands import Cancel, cancel_of
from schemas.errors import ContractError
from schemas.keys import digest
from schemas.records import Control
from schemas.states import TERMINAL, State
from schemas.tiers import DAY_MS
from streams.core import outcome
from streams.core.attempt import Attempt
from streams.core.cancels import marked
from streams.core.entry import Entry
from streams.core.home import Home
from streams.core.known import Known
from streams.core.orders import Orders, key_of
from streams.core.outcome import Cancelled, Repeated, Writes
from streams.core.ports import Hands, Time
from streams.core.sweep import Sweep

# How long a handler that was asked may take to stop.
GRACE_S = 5.0
# A sweep costs the loop so much at a time, over all partitions.
ROWS_A_TICK = 100
# A take-over goes through the table once more for clears that are not older than this.
SWEPT_AGAIN_MS = DAY_MS
EXPIRE_EVERY_S = 60.0
Write = Callable[[Home, Entry, Writes], None]


class Cancelling:
    """The orders that end jobs, on all partitions of a process. `write` is the machine's."""

    def __init__(self, hands: Hands, known: Known, write: Write) -> None:
        self._hands, self._known, self._write = hands, known, write
        self._orders = Orders()
        self._asked: list[tuple[float, Attempt]] = []
        self._expire_at = 0.0

    # -- one job

    def ordered(self, home: Home, command: Entry, time: Time) -> None:
        """A cancel came by its job's way: it is done, or remembered, when its own record is complete."""
        try:
            order = cancel_of(command.job)
        except ContractError:
            self._write(home, command, Writes(time.wall))
            return
        entry = self._find(home, command, order)
        if entry is not None:
            self._known.numbered(entry, time)
        if entry is None:
            self._remember(home, command)
        elif entry.job.series > order.series:
            self._write(home, command, Writes(time.wall))
        elif _is_under_way(entry):
            # The next owner must know, too, should this one not see its end.
            self._remember(home, command)
            self._ask(entry.under_way, order.says, time)
        else:
            self._drop(home, entry, order.says, time)
            self._write(home, command, Writes(time.wall))

    def met(self, home: Home, entry: Entry, time: Time) -> bool:
        """A job came from its topic: whether its end was ordered before."""
        if not home.marks and not self._orders.clears:
            return False
        if entry.job.series and _is_here(home, entry.key, entry.job.job_id):
            return False  # another request for this series is not at its end: this one says nothing after it
        # Brought back by its id alone it is another series, which an order of before does not mean.
        self._known.numbered(entry, time)
        is_late = (entry.job.not_before or 0) > time.wall
        says = self._says(home, entry, State.DELAYED if is_late else State.WAITING)
        if says is None:
            return False
        self._write_end(home, entry, says, time)
        return True

    def turn(self, home: Home, entry: Entry, time: Time) -> Cancelled | None:
        """Its turn has come: it ends instead when that was ordered meanwhile, or of a former owner."""
        if not home.marks and not self._orders.clears:
            return None
        says = self._says(home, entry, entry.state)
        if says is None or self._known.repeats(entry, self._known.of(entry), time):
            return None
        return Cancelled(says)

    def ended(self, home: Home, attempt: Attempt) -> None:
        """An attempt ended: a cancel of it is not remembered any longer than its job."""
        if home.marks and attempt.entry.state in TERMINAL:
            self._forget(home, attempt.entry)

    # -- many jobs

    def clear(self, order: Control, homes: Iterable[Home], time: Time) -> None:
        """End the waiting jobs that the order means: those in the table bit by bit, others when met."""
        self._orders.take(key_of(order), order)
        for home in homes:
            home.sweeps.append(Sweep(order, home.rows))

    def opened(self, home: Home, time: Time) -> None:
        """A partition is ours: its last owner may not have seen every order to its end."""
        for order in self._orders.clears.values():
            if time.wall - (order.before or 0) < SWEPT_AGAIN_MS:
                home.sweeps.append(Sweep(order, home.rows))

    def tick(self, homes: Iterable[Home], time: Time) -> None:
        """Time has passed: graces end, sweeps go on, cancels whose job never came are forgotten."""
        while self._asked and (self._asked[0][1].over or self._asked[0][0] <= time.steady):
            attempt = self._asked.pop(0)[1]
            if not attempt.over and not attempt.home.gone:
                self._hands.stop(attempt)
        budget = ROWS_A_TICK
        is_time = time.steady >= self._expire_at
        for home in homes:
            if home.closing:
                continue
            if home.sweeps and budget > 0:
                budget -= ROWS_A_TICK // 4
                self._sweep(home, ROWS_A_TICK // 4, time)
            if is_time and home.marks:
                for place, row in home.marks.expired(time.wall, ROWS_A_TICK):
                    self._write(home, Entry(row.job, place, home.partition), Writes(time.wall))
        if is_time:
            self._expire_at = time.steady + EXPIRE_EVERY_S

    def _sweep(self, home: Home, most: int, time: Time) -> None:
        sweep = home.sweeps[0]
        says = _cleared(sweep.order)
        for place, row in sweep.next(most):
            entry = home.scheduler.find(place[:16], row.job.job_id)
            entry = entry or Entry.restored(place, home.partition, row)
            if not _is_under_way(entry):
                self._drop(home, entry, says, time)
        if sweep.is_over:
            home.sweeps.pop(0)

    # -- parts

    def _find(self, home: Home, command: Entry, order: Cancel) -> Entry | None:
        entry = home.scheduler.find(digest(command.job.ordering_key), order.job_id)
        if entry is not None:
            return entry
        found = home.rows.find(order.job_id)
        return None if found is None else Entry.restored(found[0], home.partition, found[1])

    def _says(self, home: Home, entry: Entry, state: State) -> str | None:
        mark = home.marks.of(entry.job)
        if mark is not None:
            return mark.order.says
        order = self._orders.clearing(entry.job, state)
        return None if order is None else _cleared(order)

    def _remember(self, home: Home, command: Entry) -> None:
        self._write(home, command, marked(command))
        home.marks.added()

    def _forget(self, home: Home, entry: Entry) -> None:
        mark = home.marks.of(entry.job)
        if mark is not None:
            self._write(home, Entry(mark.command, mark.place, home.partition), Writes(0))

    def _ask(self, attempt: Attempt, says: str, time: Time) -> None:
        if attempt.cancel is not None:
            return
        attempt.cancel = says
        if attempt.ran:
            self._asked.append((time.steady + GRACE_S, attempt))
            self._hands.cancel(attempt)

    def _drop(self, home: Home, entry: Entry, says: str, time: Time) -> None:
        """End a job that has not started, and let the next of its key go on."""
        self._write_end(home, entry, says, time)
        if not home.closing:
            home.scheduler.withdrawn(entry, time.wall)

    def _write_end(self, home: Home, entry: Entry, says: str, time: Time) -> None:
        known, result = self._known.numbered(entry, time), Cancelled(says)
        repeats = self._known.repeats(entry, known, time)
        writes = Writes(time.wall)
        if not repeats:
            writes = outcome.cancelled(entry, result, time.wall, known=known)
        self._write(home, entry, writes)
        if not home.gone:
            self._hands.ended(Attempt(entry, home, time.wall), Repeated() if repeats else result)
            if home.marks:
                self._forget(home, entry)


def _is_under_way(entry: Entry) -> bool:
    """Whether an attempt of it runs, or waits for its check-in."""
    return entry.under_way is not None and not entry.under_way.over


def _is_here(home: Home, key: bytes, job_id: str) -> bool:
    """Whether a job of this id stands in memory or in the table."""
    return home.scheduler.find(key, job_id) is not None or home.rows.find(job_id) is not None


def _cleared(order: Control) -> str:
    return f"cleared by {order.by}"
