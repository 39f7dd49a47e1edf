"""The worker of one tier: feeds the scheduler from the lanes, starts what is ready, parks what must wait.

The way of a job: `_intake` (decode) -> `Scheduler.arrive` -> `Ready.take` -> `Executor.run` -> `_ended`.
"""

import asyncio
from collections import Counter
from functools import partial
from typing import Any

from confluent_kafka import Message

from agents.executor import Executor, now_ms
from agents.letters import undecodable
from agents.recording import Recording
from agents.workbooks import Workbooks
from schemas.errors import DecodeError
from schemas.priorities import Lane
from schemas.records import Job
from schemas.states import State
from schemas.tiers import Tier
from streams.codec import Codec
from streams.core import outcome
from streams.core.backoff import Retry
from streams.core.entry import Entry, position
from streams.core.ready import Ready
from streams.core.scheduler import Park, Scheduler
from streams.log import get
from streams.metrics import WorkerMetrics
from streams.topics import Topology
from streams.transport.app import EngineApp
from streams.transport.errors import TransportError
from streams.transport.owned import OwnedPartition
from streams.transport.step import Chunk, Step

log = get("tierflow.worker")

# Jobs of one lane and partition held in memory before its fetching pauses, and where it goes on.
LANE_FULL, LANE_ROOM = 2_500, 1_250
TICK_S = 0.02


class Worker:
    """One tier's jobs on the partitions that this process owns."""

    def __init__(
        self, app: EngineApp, topology: Topology, tier: Tier, codec: Codec, executor: Executor,
        recording: Recording, workbooks: Workbooks, slots: int, metrics: WorkerMetrics,
    ) -> None:  # fmt: skip
        self._app, self._topology, self._tier, self._codec = app, topology, tier, codec
        self._executor, self._recording, self._workbooks = executor, recording, workbooks
        self._metrics = metrics
        self._ready = Ready(slots)
        self._schedulers: dict[int, Scheduler] = {}
        self._owned: dict[int, OwnedPartition] = {}
        self._in_memory: Counter[tuple[int, Lane]] = Counter()
        self._held: set[tuple[int, Lane]] = set()

    def attach(self) -> None:
        """Declare the agents, the clock and the hand-over on the app."""
        self._app.on_open(self._open)
        self._app.on_close(self._close)
        self._app.task(self._clock)
        for lane in Lane:
            topic = self._app.chunks(self._topology.lane(self._tier, lane))
            self._app.agent(topic, name=f"lane-{lane.label}")(self._agent(lane))

    # -- ownership

    async def _open(self, owned: OwnedPartition) -> None:
        """Take over what the last owner left in the table."""
        p, now = owned.partition, now_ms()
        scheduler = Scheduler(p, self._ready, lambda prefix: self._recording.parked.scan(p, prefix))
        self._owned[p], self._schedulers[p] = owned, scheduler
        found = 0
        for place, parked in self._recording.parked.scan(p):
            scheduler.restore(place, parked)
            found += 1
        scheduler.settle(now)
        log.info("partition opened", partition=p, parked=found)
        self._start_ready()

    async def _close(self, owned: OwnedPartition, lost: bool) -> None:
        """Start nothing more; give running jobs a moment to end (the engine bounds it)."""
        p = owned.partition
        scheduler = self._schedulers.pop(p, None)
        if scheduler is not None:
            scheduler.close()
        if not lost and owned.tasks:
            await asyncio.wait(set(owned.tasks))
        self._owned.pop(p, None)
        self._workbooks.forget_partition(p)
        for lane in Lane:
            self._in_memory.pop((p, lane), None)
            self._held.discard((p, lane))

    # -- intake

    def _agent(self, lane: Lane) -> Any:
        async def intake(stream: Any) -> None:
            async for chunk in stream:
                self._intake(chunk, lane)

        return intake

    def _intake(self, chunk: Chunk, lane: Lane) -> None:
        p, now = chunk.partition, now_ms()
        for message, step in chunk.split():
            scheduler = self._schedulers.get(p)
            if scheduler is None:
                return  # closing: the next owner reads it again
            entry = self._entry(message, step, lane)
            if entry is None:
                continue
            self._in_memory[p, lane] += 1
            entry.counted = True
            for park in scheduler.arrive(entry, now):
                self._park(park, now)
        self._hold_if_full(p, lane)
        self._start_ready()

    def _entry(self, message: Message, step: Step, lane: Lane) -> Entry | None:
        raw, offset = message.value(), message.offset()
        assert offset is not None
        try:
            if raw is None:
                raise DecodeError.of("value", "a record without a value")
            job = self._codec.decode(Job, raw)
        except DecodeError as error:
            with step:
                letter = undecodable(message, self._tier.value, error, now_ms())
                topic = self._topology.dead_letters(self._tier)
                step.send(topic, self._codec.encode(letter), letter.key, message.partition() or 0)
            return None
        place = position(job.ordering_key, lane.value, offset)
        return Entry(job, place, message.partition() or 0, step)

    def _park(self, park: Park, now: int) -> None:
        entry = park.entry
        writes = (
            outcome.delayed(entry, now, park.due) if park.state is State.DELAYED else outcome.behind(entry)
        )
        self._recording.write(entry, writes)
        self._left_memory(entry)

    # -- running

    def _start_ready(self) -> None:
        while (entry := self._ready.take()) is not None:
            owned = self._owned[entry.partition]
            task = owned.spawn(self._run(entry, owned, self._schedulers[entry.partition]))
            # Not in a `finally` of the task: one that is cancelled before its first step has none.
            task.add_done_callback(partial(self._left, entry))
        self._metrics.running.set(self._ready.running)

    async def _run(self, entry: Entry, owned: OwnedPartition, scheduler: Scheduler) -> None:
        try:
            result = await self._executor.run(entry)
            if scheduler is self._schedulers.get(entry.partition):
                self._ended(scheduler, entry, result)
        except (LookupError, TransportError):
            if not owned.is_closed:
                log.exception("a job's outcome was not recorded", job_id=entry.job.job_id)
        except Exception:
            log.exception("a job's outcome was not recorded", job_id=entry.job.job_id)

    def _left(self, entry: Entry, _: object) -> None:
        self._ready.free(entry)
        self._left_memory(entry)
        self._start_ready()

    def _ended(self, scheduler: Scheduler, entry: Entry, result: object) -> None:
        now = now_ms()
        if isinstance(result, Retry):
            for park in scheduler.retry(entry, result.due):
                self._park(park, now)
        else:
            scheduler.finished(entry, now)

    async def _clock(self) -> None:
        """Delayed jobs and retries take their turn when they are due."""
        while True:
            now = now_ms()
            for scheduler in list(self._schedulers.values()):
                due = scheduler.next_due
                if due is not None and due <= now:
                    scheduler.due(now)
            self._start_ready()
            self._metrics.in_memory.set(self._in_memory.total())
            await asyncio.sleep(TICK_S)

    # -- back-pressure, per lane and partition

    def _hold_if_full(self, partition: int, lane: Lane) -> None:
        place = (partition, lane)
        if self._in_memory[place] >= LANE_FULL and place not in self._held:
            self._held.add(place)
            self._app.hold(self._topology.lane(self._tier, lane), partition)

    def _left_memory(self, entry: Entry) -> None:
        place = (entry.partition, entry.lane)
        if not entry.counted or place not in self._in_memory:
            return
        entry.counted = False
        self._in_memory[place] -= 1
        if self._in_memory[place] <= LANE_ROOM and place in self._held:
            self._held.discard(place)
            self._app.release(self._topology.lane(self._tier, entry.lane), entry.partition)
