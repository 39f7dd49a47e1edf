"""What this process owns of partition number p: of all source topics and all tables alike."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, cast

from streams.transport.batch import Batch, Changes
from streams.transport.bursts import After, Burst, Bursts, Work
from streams.transport.limits import Limits
from streams.transport.step import Step, current_step, enter
from streams.transport.table_partition import TablePartition
from streams.transport.tracker import Tracker


class Phase(Enum):
    """opening (recovery) -> open -> stopping (no new records, running work ends) -> closed."""

    OPENING = "opening"
    OPEN = "open"
    STOPPING = "stopping"
    CLOSED = "closed"


class OwnedPartition:
    """Trackers, table partitions, running work and the batch that completing steps fill.

    Belongs to the loop thread. Once closed it never comes back: a partition that returns is a new object.
    """

    def __init__(self, partition: int, limits: Limits, on_work: Callable[[int], None]) -> None:
        self.partition, self.limits = partition, limits
        self.phase = Phase.OPENING
        self.trackers: dict[str, Tracker] = {}
        self.tables: dict[str, TablePartition] = {}
        self.tasks: set[asyncio.Task[Any]] = set()
        self.active = 0
        """Steps that agents hold right now."""
        self.announced = False
        """Whether the on_open callbacks were started, so that on_close ones are due."""
        self.opening: asyncio.Task[Any] | None = None
        """The running on_open callback."""
        self._on_work = on_work
        self._bursts = Bursts(self._spawn)
        self._context = _outside()
        self._discard = self.tasks.discard
        self._batch = Batch(self)
        self._sealed: Batch | None = None
        self._committed_base: dict[str, int] = {}

    @property
    def is_closed(self) -> bool:
        """Nothing it completes counts any more."""
        return self.phase is Phase.CLOSED

    @property
    def is_stopping(self) -> bool:
        """It takes no new records."""
        return self.phase in (Phase.STOPPING, Phase.CLOSED)

    @property
    def is_busy(self) -> bool:
        """Whether agents or tasks are at work on it."""
        return self.active > 0 or bool(self.tasks)

    def spawn(self, coro: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run the coroutine as a task that is cancelled when the partition goes; outside of any step."""
        task = asyncio.get_running_loop().create_task(coro, context=_outside())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def start(self, coro: Coroutine[Any, Any, Any], after: After, subject: object) -> Work:
        """Like `spawn`, for much work that is mostly short: only what waits has a task of its own."""
        work = Work(coro, _outside(), after, subject)
        self._bursts.add(work)
        return work

    def _spawn(self, burst: Burst) -> None:
        """Like `spawn`; where work waits its task stays, so what all of them can share is made once."""
        coro, context = cast(Coroutine[Any, Any, None], burst), self._context
        task = asyncio.get_running_loop().create_task(coro, name="work", context=context)
        self.tasks.add(task)
        task.add_done_callback(self._discard, context=context)

    def step(self) -> Step:
        """A step without a source record; fenced by the partition's offset like any other."""
        if self.is_closed or not self.trackers:
            raise LookupError(f"partition {self.partition} is not open here")
        return Step(self)

    def complete(self, step: Step) -> Batch | None:
        """Take over what the step did; None when the partition is closed."""
        if self.is_closed:
            return None
        batch = self._batch
        if step.outputs is not None:
            batch.outputs += step.outputs
        if step.writes is not None:
            for table, values in step.writes.items():
                self.tables[table].apply(values)
        tracker = step.tracker
        if tracker is not None:
            tracker.complete(step.low, step.high)
            batch.records += step.high - step.low
        else:
            tracker = next(iter(self.trackers.values()))
        batch.touched.add(tracker)
        self._on_work(step.high - step.low)
        return batch

    def commit_markers(self) -> None:
        """Let the next transaction carry positions that only moved over markers: a quiet group has no lag."""
        if self.is_stopping:
            return
        moved = [t for t in self.trackers.values() if t.base > self._committed_base.get(t.topic, t.start)]
        self._batch.touched.update(moved)
        if moved:
            self._on_work(0)

    def take(self) -> Batch | None:
        """Seal everything completed since the last take; None when there is nothing."""
        if self.is_closed or not self._batch.touched:
            return None
        batch, self._batch = self._batch, Batch(self)
        self._committed_base.update((tracker.topic, tracker.base) for tracker in batch.touched)
        tables = [table for table in self.tables.values() if table.has_new or table.keeps_positions]
        batch.seal([Changes(table, table.take()) for table in tables])
        self._sealed = batch
        return batch

    def close(self) -> None:
        """Drop everything that is not committed and cancel its tasks; idempotent."""
        if self.is_closed:
            return
        self.phase = Phase.CLOSED
        self._batch.lose()
        if self._sealed is not None:
            self._sealed.lose()
        for task in list(self.tasks):
            task.cancel()
        for table in self.tables.values():
            table.close()


def _outside() -> contextvars.Context:
    """A copy of this context, outside of any step."""
    context = contextvars.copy_context()
    if current_step() is not None:
        context.run(enter, None)
    return context
