"""Opening and closing of partition numbers, in the loop.

A partition number is open when all source topics' partitions of that number are here and recovered, and it
closes as soon as one of them goes: so no two processes ever hold its tables.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from streams.transport.config import EngineConfig
from streams.transport.errors import Exit
from streams.transport.limits import Limits
from streams.transport.metrics import EngineMetrics
from streams.transport.owned import OwnedPartition, Phase
from streams.transport.polling import ConsumeThread, Part
from streams.transport.recovery import Recovered, Recovery
from streams.transport.serial_thread import SerialThread

log = logging.getLogger(__name__)

OnOpen = Callable[[OwnedPartition], Awaitable[None]]
OnClose = Callable[[OwnedPartition, bool], Awaitable[None]]

_CANCELLED_TASKS_S = 1.0
_LOST_CALLBACK_S = 2.0
_BUSY_POLL_S = 0.005


class Assignment:
    """`parts`: what the group gave us; `owned`: a partition number in any phase; `open`: those at work."""

    def __init__(
        self,
        config: EngineConfig,
        topics: Sequence[str],
        limits: Limits,
        recovery: Recovery,
        thread: SerialThread,
        metrics: EngineMetrics,
    ) -> None:
        self._config, self.topics, self._limits = config, list(topics), limits
        self._recovery, self._thread, self._metrics = recovery, thread, metrics
        self.parts: set[Part] = set()
        self.owned: dict[int, OwnedPartition] = {}
        self.open: dict[int, OwnedPartition] = {}
        self.on_open: list[OnOpen] = []
        self.on_close: list[OnClose] = []
        self.held: set[Part] = set()
        """Held back by the application. Read by the consume thread."""
        self.polling: ConsumeThread
        self.commit: Callable[[Iterable[OwnedPartition]], Awaitable[None]]
        self.on_work: Callable[[int], None]
        self._openings: set[asyncio.Task[None]] = set()

    def add(self, parts: set[Part]) -> None:
        """The group gave us these; opens the numbers that are now complete. Returns at once."""
        self.parts |= parts
        numbers = {number for _, number in parts if number not in self.owned and self._is_complete(number)}
        self._open_soon(numbers)

    async def remove(self, parts: set[Part], *, lost: bool) -> None:
        """The group takes these: running work ends, what is complete is committed, the rest is dropped."""
        self.parts -= parts
        gone = [self.owned[number] for number in {number for _, number in parts} if number in self.owned]
        if not lost:
            await self.drain(gone)
        await self.close(gone, lost=lost)

    async def drain(self, owned: Sequence[OwnedPartition]) -> None:
        """Take no new records, let running work end, commit what is complete."""
        for partition in owned:
            if not partition.is_closed:
                partition.phase = Phase.STOPPING
        await asyncio.gather(*(self._let_work_end(partition) for partition in owned))
        tasks = [task for partition in owned for task in partition.tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCELLED_TASKS_S)
        await self.commit(owned)

    async def close(self, owned: Sequence[OwnedPartition], *, lost: bool) -> None:
        """Drop what is not committed; after this nothing of these partitions goes out any more."""
        for partition in owned:
            partition.close()
            for topic in self.topics:
                self.held.discard((topic, partition.partition))
            if self.owned.get(partition.partition) is partition:
                del self.owned[partition.partition]
            self.open.pop(partition.partition, None)
        self._count()
        if lost:
            told = (self._announce_close(p, lost=True, limit_s=_LOST_CALLBACK_S) for p in owned)
            await asyncio.gather(*told)

    async def restart(self, numbers: Iterable[int], settled: Callable[[], Awaitable[None]]) -> None:
        """Drop the state of these numbers and open those we still have anew, from what the broker knows.

        `settled` returns when no transaction that carries them is under way: only then the broker knows.
        """
        dropped = [self.owned[number] for number in list(numbers) if number in self.owned]
        for partition in dropped:
            for topic in self.topics:
                self.polling.stop_reading((topic, partition.partition))
        await self.close(dropped, lost=True)
        await settled()
        numbers = {p.partition for p in dropped}
        self._open_soon({n for n in numbers if n not in self.owned and self._is_complete(n)})

    def open_missing(self) -> None:
        """Open numbers that we have but that were closed when the membership seemed lost."""
        self._open_soon({n for _, n in self.parts if n not in self.owned and self._is_complete(n)})

    def hold(self, part: Part) -> None:
        """Fetch no more of the partition, if it is ours."""
        if part in self.parts:
            self.held.add(part)
            self._count()

    def release(self, part: Part) -> None:
        """Fetch it again."""
        self.held.discard(part)
        self._count()

    def _is_complete(self, number: int) -> bool:
        return all((topic, number) in self.parts for topic in self.topics)

    def _open_soon(self, numbers: set[int]) -> None:
        if not numbers:
            return
        owned = [OwnedPartition(number, self._limits, self.on_work) for number in sorted(numbers)]
        self.owned.update((partition.partition, partition) for partition in owned)
        task = asyncio.create_task(self._open(owned))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    async def _open(self, owned: Sequence[OwnedPartition]) -> None:
        """Recover beside the running partitions, then start. A failure ends the process."""
        begun = time.monotonic()
        try:
            for recovered in await self._thread.call(self._recovery.recover, owned, self.topics):
                await self._start(recovered)
        except Exception:
            log.exception("opening partitions failed: ending the process")
            self._config.exit(Exit.OPENING_FAILED)
            return
        self._metrics.recovery_seconds.observe(time.monotonic() - begun)

    async def _start(self, recovered: Recovered) -> None:
        owned = recovered.owned
        if owned.is_stopping:
            recovered.discard()
            return
        owned.tables.update(recovered.tables)
        owned.trackers.update(recovered.trackers)
        self.open[owned.partition] = owned
        self._count()
        if await self._announce_open(owned):
            owned.phase = Phase.OPEN
            for tracker in owned.trackers.values():
                self.polling.start(owned, tracker)

    async def _announce_open(self, owned: OwnedPartition) -> bool:
        """Run the on_open callbacks; False when the partition went meanwhile, which cancels them."""
        owned.announced = True
        for callback in self.on_open:
            owned.opening = owned.spawn(_as_coroutine(callback(owned)))
            await asyncio.wait({owned.opening})
            if owned.is_stopping:
                return False
            owned.opening.result()
        return owned.phase is Phase.OPENING

    async def _let_work_end(self, owned: OwnedPartition) -> None:
        """The callbacks decide when running work is over; without any, the end of all tasks does."""
        deadline = time.monotonic() + self._config.drain_s
        if owned.opening is not None and not owned.opening.done():
            owned.opening.cancel()
            await asyncio.wait({owned.opening}, timeout=_CANCELLED_TASKS_S)
        if owned.announced and self.on_close:
            await self._announce_close(owned, lost=False, limit_s=self._config.drain_s)
            await _poll_until(lambda: owned.active == 0, deadline)
        else:
            await _poll_until(lambda: not owned.is_busy, deadline)

    async def _announce_close(self, owned: OwnedPartition, *, lost: bool, limit_s: float) -> None:
        if not owned.announced:
            return
        owned.announced = False
        for callback in self.on_close:
            try:
                await asyncio.wait_for(_as_coroutine(callback(owned, lost)), limit_s)
            except TimeoutError:
                log.warning("on_close of partition %d did not end in %.1f s", owned.partition, limit_s)
            except Exception:
                log.exception("on_close of partition %d failed", owned.partition)

    def _count(self) -> None:
        self._metrics.open_partitions.set(len(self.open))
        self._metrics.held_partitions.set(len(self.held))


async def _poll_until(condition: Callable[[], bool], deadline: float) -> None:
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_BUSY_POLL_S)


async def _as_coroutine(awaitable: Awaitable[Any]) -> None:
    await awaitable
