"""The parts of the engine, put together for one Faust consumer."""

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from confluent_kafka.admin import AdminClient

from streams.transport import identity, parking, topic_check
from streams.transport.assignment import Assignment
from streams.transport.committer import Committer
from streams.transport.config import EngineConfig
from streams.transport.delivery import Delivery
from streams.transport.errors import Exit, ProducerFatal
from streams.transport.incarnations import topic_ids
from streams.transport.limits import Limits
from streams.transport.metrics import EngineMetrics
from streams.transport.polling import ConsumeThread, Part
from streams.transport.reading import Fetched
from streams.transport.recovery import Recovery
from streams.transport.serial_thread import SerialThread
from streams.transport.stalls import Stalls
from streams.transport.table_partition import TablePartition
from streams.transport.transaction import Transactor
from streams.transport.watchdog import Watchdog

log = logging.getLogger(__name__)

_FATALS, _FATALS_S = 5, 60.0
_LEAVE_S = 10.0
_STALLS = 3
_SWITCH_S = 0.001


class Rebalanced:
    """What Faust wants to hear about partitions; the app's shell implements it."""

    async def assigned(self, now: set[Part], new: set[Part]) -> None:
        """`now` are all partitions."""

    async def revoked(self, now: set[Part], gone: set[Part]) -> None:
        """`now` are the partitions that stay."""


class Engine:
    """One member of a consumer group: built and used in the loop thread."""

    def __init__(
        self,
        config: EngineConfig,
        app_id: str,
        metrics: EngineMetrics,
        *,
        new_tables: Callable[[int], list[TablePartition]],
        on_message: Callable[[Any], Awaitable[None]],
        chunked: Callable[[str], bool],
        generation: Callable[[], int],
        rebalanced: Rebalanced,
    ) -> None:
        self._config, self._app_id, self._metrics, self._rebalanced = config, app_id, metrics, rebalanced
        self.admin = AdminClient(dict(config.client()))
        self.limits = Limits(config.max_record_bytes, lambda: topic_check.partition_counts(self.admin))
        self._transact_thread, self._recover_thread = SerialThread("transact"), SerialThread("recover")
        self._transactor = Transactor(config, app_id, self._group_metadata, metrics)
        self._recovery = Recovery(config, app_id, new_tables, partial(topic_ids, self.admin), metrics)
        self.assignment = Assignment(config, [], self.limits, self._recovery, self._recover_thread, metrics)
        self._committer = Committer(
            config, self._transactor, self._transact_thread,
            self.assignment.owned.values, self._on_fatal, metrics,
        )  # fmt: skip
        self.assignment.commit, self.assignment.on_work = self._committer.commit, self._committer.work_done
        self._delivery = Delivery(on_message, chunked, generation, self._committer.room)
        self._polling: ConsumeThread | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._fatals: deque[float] = deque(maxlen=_FATALS)
        self._stalls = Stalls(_STALLS)
        self._stopping = False
        self._watchdog = Watchdog(config, asyncio.get_running_loop(), self._calls)

    # -- life

    async def start(self) -> None:
        """Take the transactional id over: whatever a predecessor left open is aborted."""
        # A thread that returns from librdkafka waits this long for the interpreter; the default is 5 ms.
        sys.setswitchinterval(_SWITCH_S)
        self._watchdog.begin()
        await self._transact_thread.call(self._transactor.connect)

    async def subscribe(self, topics: Sequence[str], counts: Mapping[str, int]) -> None:
        """Join the group; `counts` are the partition counts of all topics."""
        if self._polling is not None:
            if set(topics) != set(self.assignment.topics):
                raise RuntimeError("the engine reads the topics it was started with; restart to change them")
            return
        self.limits.learn(counts)
        self.assignment.topics = sorted(topics)
        self._polling = self.assignment.polling = ConsumeThread(
            self._config,
            self._app_id,
            self.assignment.topics,
            self,
            lambda: self._delivery.delivered,
            self.assignment.held,
        )
        for work in (self._delivery.run(), self._committer.run(), self._look_after()):
            self._in_background(work)
        self._polling.begin()

    async def stop(self) -> None:
        """Drain, commit, leave the group; ends within drain_s plus some seconds, or a deadline kills it."""
        if self._stopping:
            return
        self._stopping = True
        owned = list(self.assignment.owned.values())
        await self.assignment.drain(owned)
        await self.assignment.close(owned, lost=False)
        if self._polling is not None and not await asyncio.to_thread(self._polling.leave, _LEAVE_S):
            log.warning("the group was not left in %.0f s: its session will time out", _LEAVE_S)
        self._transactor.stopped = self._recovery.stopped = True
        for task in list(self._tasks):
            task.cancel()
        self._transact_thread.stop()
        self._recover_thread.stop()
        self._watchdog.stop()

    # -- what the application asks for

    def hold(self, part: Part) -> None:
        """Fetch no more of the partition; what is already here is still delivered."""
        self.assignment.hold(part)

    def release(self, part: Part) -> None:
        """Fetch it again."""
        self.assignment.release(part)

    async def commit(self) -> None:
        """Commit what is complete now."""
        await self._committer.commit(self.assignment.owned.values())

    # -- what the consume thread reports (polling.Listener)

    async def assigned(self, parts: set[Part]) -> None:
        """New partitions, paused."""
        if self._stopping:
            return
        self.assignment.add(parts)
        await self._rebalanced.assigned(self.assignment.parts, parts)

    async def revoked(self, parts: set[Part], lost: bool) -> None:
        """Returns when nothing of these partitions is under way any more."""
        await self.assignment.remove(parts, lost=lost)
        await self._committer.idle()
        await self._rebalanced.revoked(self.assignment.parts, parts)

    def membership_lost(self) -> None:
        """Everything we have is lost, though librdkafka has not said so yet."""
        self._in_background(self.assignment.close(list(self.assignment.owned.values()), lost=True))

    def out_of_range(self, part: Part) -> None:
        """Recovery counts what was lost and starts at the log's beginning."""
        log.error("%s-%d: the log does not have the offset that was to be read", *part)
        if not self._stopping:
            self._in_background(self.assignment.restart([part[1]], self._committer.idle))

    def quiet(self, positions: dict[Part, int]) -> None:
        """Look whether there is really nothing to read."""
        self._in_background(self._wake(positions))

    async def _wake(self, positions: dict[Part, int]) -> None:
        """A fetch that stopped is started again; when that does not help, a new process does."""
        ends = await asyncio.to_thread(parking.log_ends, self.admin, list(positions))
        stalled, hopeless = self._stalls.judge(positions, ends)
        for part in stalled:
            log.warning("fetching of %s-%d stopped at %d of %d", *part, positions[part], ends[part])
            self._metrics.stalled_fetches.inc()
            if self._polling is not None:
                self._polling.read_again(part, positions[part])
        if hopeless:
            log.error("fetching of %s does not start again: ending the process", hopeless)
            self._config.exit(Exit.CONSUMER_FATAL)

    def fetched(self, fetched: Sequence[Fetched]) -> None:
        """Records to deliver."""
        self._delivery.put(fetched)

    # -- inside

    def _group_metadata(self) -> bytes:
        return b"" if self._polling is None else self._polling.metadata

    def _calls(self) -> tuple[int, int]:
        return self._transactor.calls_begun, self._transactor.calls_ended

    async def _on_fatal(self, error: ProducerFatal) -> None:
        """Crash-only, inside the process: forget everything, read it again from the broker."""
        now = time.monotonic()
        self._fatals.append(now)
        if len(self._fatals) == _FATALS and now - self._fatals[0] < _FATALS_S:
            log.error("%d losses of the producer in %.0f s: ending the process", _FATALS, _FATALS_S)
            self._config.exit(Exit.FENCED_REPEATEDLY)
        await self.assignment.restart(list(self.assignment.owned), self._reconnect)

    async def _reconnect(self) -> None:
        await self._transact_thread.call(self._transactor.connect)

    async def _look_after(self) -> None:
        """What is not counted, and not found, where it happens."""
        window = self._config.window
        while True:
            trackers = [t for o in self.assignment.open.values() for t in o.trackers.values()]
            self._metrics.window_used.set(max((t.used for t in trackers), default=0) / window)
            if self._polling is not None:
                self._metrics.paused_partitions.set(self._polling.full)
            await asyncio.sleep(1.0)
            for owned in self.assignment.open.values():
                owned.commit_markers()
            if identity.parse(self._group_metadata()).is_member and not self._stopping:
                await self._committer.idle()
                self.assignment.open_missing()

    def _in_background(self, work: Awaitable[None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("the engine failed: ending the process")
            self._config.exit(Exit.CONSUME_THREAD_FAILED)
