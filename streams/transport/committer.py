"""When to commit: at once when idle, filled up for some milliseconds under load."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from streams.transport.batch import Batch
from streams.transport.config import EngineConfig
from streams.transport.errors import ProducerFatal
from streams.transport.metrics import EngineMetrics
from streams.transport.owned import OwnedPartition
from streams.transport.serial_thread import SerialThread
from streams.transport.transaction import Transactor

# Committing takes this part of the time under load: a third.
_SHARE = 3

log = logging.getLogger(__name__)


class Committer:
    """Takes what is complete and hands it to the transaction thread, one transaction at a time.

    Loop thread only. `on_fatal` runs, still within the turn, when the producer died: it closes what was
    open, so that nothing uncommitted survives.
    """

    def __init__(
        self,
        config: EngineConfig,
        transactor: Transactor,
        thread: SerialThread,
        owned: Callable[[], Iterable[OwnedPartition]],
        on_fatal: Callable[[ProducerFatal], Awaitable[None]],
        metrics: EngineMetrics,
    ) -> None:
        self._config, self._transactor, self._thread = config, transactor, thread
        self._owned, self._on_fatal, self._metrics = owned, on_fatal, metrics
        self._turn = asyncio.Lock()
        self._work, self._full, self._room = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._room.set()
        self._waiting_records = self._last_records = 0
        self._commit_s = 0.0

    def work_done(self, records: int) -> None:
        """A step is complete."""
        self._waiting_records += records
        self._work.set()
        if self._waiting_records >= self._config.batch_records:
            self._full.set()
            self._room.clear()

    async def room(self) -> None:
        """Return when the next transaction is not full: one grows no larger while another is slow."""
        while not self._room.is_set():  # it may be full again before we are woken
            await self._room.wait()

    async def run(self) -> None:
        """Commit for ever."""
        last = 0.0
        while True:
            await self._work.wait()
            if self._last_records > self._config.busy_records:
                await self._fill(last + self._period_s() - time.monotonic())
            last = time.monotonic()
            await self.commit(self._owned())

    async def commit(self, owned: Iterable[OwnedPartition]) -> None:
        """One transaction with everything these partitions completed; returns when it is over."""
        async with self._turn:
            self._work.clear()
            self._full.clear()
            self._room.set()
            self._waiting_records = 0
            batches = [batch for partition in list(owned) if (batch := partition.take()) is not None]
            if batches:
                await self._transact(batches)

    async def idle(self) -> None:
        """Return when no transaction is running."""
        async with self._turn:
            pass

    def _period_s(self) -> float:
        """From the beginning of a transaction to that of the next, under load.

        What a transaction costs beside its records is the same for ten and for a thousand. So where it takes
        longer (a slow machine, brokers far away) more is put into one, and latency grows by a few commits.
        """
        longer = _SHARE * self._commit_s
        return min(max(self._config.linger_s, longer), self._config.linger_max_s)

    async def _fill(self, rest_s: float) -> None:
        if rest_s > 0 and not self._full.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), rest_s)

    async def _transact(self, batches: list[Batch]) -> None:
        self._last_records = sum(batch.records for batch in batches)
        begun = time.monotonic()
        try:
            done = await self._thread.call(self._transactor.commit, batches)
        except ProducerFatal as error:
            self._metrics.fatals.inc()
            log.error("the transactional producer is lost, dropping all state: %s", error)
            await self._on_fatal(error)
            return
        self._commit_s = time.monotonic() - begun
        self._metrics.transactions.inc()
        for batch in done:
            self._metrics.records.inc(batch.records)
            for changes in batch.changes:
                changes.table.settle()
            batch.commit()
