"""The worker of one tier: tells the core what happens to its partitions and lanes.

Every decision is the core's (`streams/core/machine.py`); `hands.py` carries it out.
"""

import asyncio
import random
from typing import Any

from confluent_kafka import Message

from agents.executor import now_ms, present
from agents.hands import WorkerHands
from agents.letters import undecodable
from agents.recording import Recording
from agents.spreadsheet.workbooks import Workbooks
from schemas.errors import DecodeError
from schemas.priorities import Lane
from schemas.records import IdempotencyEntry, Job
from schemas.tiers import Tier
from streams.codec import Codec
from streams.core.entry import Entry, position
from streams.core.home import Limits
from streams.core.machine import Machine
from streams.log import get
from streams.metrics import WorkerMetrics
from streams.topics import Topology
from streams.transport.app import EngineApp
from streams.transport.owned import OwnedPartition
from streams.transport.step import Chunk, Step

log = get("tierflow.worker")

TICK_S = 0.02


class Worker:
    """One tier's jobs on the partitions that this process owns."""

    def __init__(
        self, app: EngineApp, topology: Topology, tier: Tier, codec: Codec, hands: WorkerHands,
        recording: Recording, workbooks: Workbooks, limits: Limits, metrics: WorkerMetrics,
    ) -> None:  # fmt: skip
        self._app, self._topology, self._tier, self._codec = app, topology, tier, codec
        self._workbooks, self._metrics = workbooks, metrics
        self._owned: dict[int, OwnedPartition] = {}
        self._machine = Machine(hands, Tables(recording), random.random, limits)
        hands.serve(self._machine, self._owned.__getitem__)

    def attach(self) -> None:
        """Declare the agents, the clock and the hand-over on the app."""
        self._app.on_open(self._open)
        self._app.on_close(self._close)
        self._app.task(self._clock)
        for lane in Lane:
            topic = self._app.chunks(self._topology.lane(self._tier, lane))
            self._app.agent(topic, name=f"lane-{lane.label}")(self._agent(lane))

    async def _open(self, owned: OwnedPartition) -> None:
        """Take over what the last owner left in the table."""
        self._owned[owned.partition] = owned
        parked = 0
        for count in self._machine.opening(owned.partition, present()):
            parked = count
            await asyncio.sleep(0)
        log.info("partition opened", partition=owned.partition, parked=parked)

    async def _close(self, owned: OwnedPartition, lost: bool) -> None:
        """Start nothing more; give running jobs a moment to end (the engine bounds it)."""
        p = owned.partition
        if self._owned.get(p) is not owned:
            return  # it has been opened anew since
        self._machine.closing(p)
        try:
            while not lost and owned.tasks:
                await asyncio.wait(set(owned.tasks))
        finally:
            if self._owned.get(p) is owned:
                self._machine.closed(p)
                del self._owned[p]
                self._workbooks.forget_partition(p)

    def _agent(self, lane: Lane) -> Any:
        async def intake(stream: Any) -> None:
            async for chunk in stream:
                self._intake(chunk, lane)

        return intake

    def _intake(self, chunk: Chunk, lane: Lane) -> None:
        if not self._machine.takes(chunk.partition):
            chunk.split()  # closing: nothing of it is complete, the next owner reads it again
            return
        read = (self._entry(message, step, lane) for message, step in chunk.split())
        entries = [entry for entry in read if entry is not None]
        self._machine.arrived(chunk.partition, lane, entries, present())
        self._measure()

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

    async def _clock(self) -> None:
        """Time passes for the core."""
        while True:
            self._machine.tick(present())
            self._measure()
            await asyncio.sleep(TICK_S)

    def _measure(self) -> None:
        self._metrics.running.set(self._machine.running)
        self._metrics.in_memory.set(self._machine.in_memory)


class Tables:
    """What the core reads of the tables."""

    def __init__(self, recording: Recording) -> None:
        self.parked = recording.parked.scan
        self._idempotency = recording.idempotency

    def known(self, partition: int, key: bytes) -> IdempotencyEntry | None:
        """What is known of an idempotency key."""
        return self._idempotency.get(partition, key)
