"""The worker of one tier: tells the core what happens to its partitions and lanes.

Every decision is the core's (`streams/core/machine.py`); `hands.py` carries it out.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from agents.arrivals import Arrivals
from agents.executor import present
from agents.expiry import Expiry
from agents.hands import WorkerHands
from agents.leasing import Leasing
from agents.ownership import Ownership
from agents.recording import Recording
from agents.spreadsheet.workbooks import Workbooks
from schemas.priorities import Lane
from schemas.records import Control, IdempotencyEntry
from schemas.tiers import Tier
from streams.codec import Codec
from streams.control import ControlReader
from streams.core.limits import Limits
from streams.core.machine import Machine
from streams.core.orders import CLEAR, PAUSE, RESUME
from streams.core.ports import Time
from streams.log import get
from streams.metrics import WorkerMetrics
from streams.topics import Topology
from streams.transport.app import EngineApp
from streams.transport.owned import OwnedPartition
from streams.transport.step import Chunk

log = get("tierflow.worker")

TICK_S = 0.02


class Worker:
    """One tier's jobs on the partitions that this process owns."""

    def __init__(
        self, app: EngineApp, topology: Topology, tier: Tier, codec: Codec, hands: WorkerHands,
        recording: Recording, workbooks: Workbooks, limits: Limits, metrics: WorkerMetrics,
        present: Callable[[], Time] = present, leasing: Leasing | None = None,
        control: ControlReader | None = None,
    ) -> None:  # fmt: skip
        self._app, self._topology, self._tier = app, topology, tier
        self._arrivals = Arrivals(topology.dead_letters(tier), tier, codec, present)
        self._workbooks, self._metrics, self._present = workbooks, metrics, present
        self._owned: dict[int, OwnedPartition] = {}
        self._caps: Counter[str] = Counter()
        self._hands = hands
        self._leasing = leasing
        leases = None if leasing is None else leasing.leases
        self._machine = Machine(hands, Tables(recording), random.random, limits, leases)
        hands.serve(self._machine, self._owned.__getitem__)
        self._control = control
        self._expiry = Expiry(app, recording.idempotency)
        self._ownership = Ownership(recording.idempotency, recording.worker)

    def attach(self) -> None:
        """Declare the agents, the clock and the hand-over on the app."""
        self._app.on_open(self._open)
        self._app.on_close(self._close)
        self._app.task(self._clock)
        if self._control is not None:
            self._control.on_order(self._ordered)
            self._app.task(self._listen)
        for lane in Lane:
            topic = self._app.chunks(self._topology.lane(self._tier, lane))
            self._app.agent(topic, name=f"lane-{lane.label}")(self._agent(lane))

    async def _open(self, owned: OwnedPartition) -> None:
        """What the last owner left in the table is taken over bit by bit. Nothing starts before every order
        of an operator is known."""
        if self._control is not None:
            await self._control.loaded()
        self._owned[owned.partition] = owned
        died = await self._ownership.take(owned)
        self._machine.opened(owned.partition, self._present(), left_open=died)
        log.info("partition opened", partition=owned.partition, last_owner_died=died)

    async def _close(self, owned: OwnedPartition, lost: bool) -> None:
        """Start nothing more; give running jobs a moment to end (the engine bounds it)."""
        p = owned.partition
        if self._owned.get(p) is not owned:
            return  # it has been opened anew since
        self._machine.closing(p)
        self._hands.closing(p)
        try:
            while not lost and owned.tasks:
                await asyncio.wait(set(owned.tasks))
        finally:
            if self._owned.get(p) is owned:
                is_over = not lost and not self._machine.suspects(p)
                self._machine.closed(p)
                del self._owned[p]
                self._expiry.forget(p)
                if is_over:
                    self._ownership.give_back(owned)
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
        entries = self._arrivals.entries(chunk, lane)
        self._machine.arrived(chunk.partition, lane, entries, self._present())
        self._measure()

    async def _listen(self) -> None:
        """Hear the operators' orders, from the first one on."""
        assert self._control is not None
        self._control.start()

    def _ordered(self, key: str, order: Control | None) -> None:
        """An order to every worker; None: its key was emptied, and nothing is ordered any more."""
        time = self._present()
        if order is None or order.action == RESUME:
            self._machine.open_gate(key, time)
        elif order.action == PAUSE:
            self._machine.close_gate(key)
        elif order.action == CLEAR:
            self._machine.clear(order, time)
        if order is not None:
            log.info("ordered", action=order.action, key=key, by=order.by, reason=order.reason)

    async def _clock(self) -> None:
        if self._leasing is not None:
            self._leasing.start(self._machine)
        now, behind_s = asyncio.get_running_loop().time, 0.0
        while True:
            self.tick(behind_s)
            due = now() + TICK_S
            await asyncio.sleep(TICK_S)
            # After a large chunk its jobs are first to run, and most to end: a job that only stood in the
            # loop's queue is not long-running, and is not to be written as such.
            await asyncio.sleep(0)
            behind_s = max(0.0, now() - due)

    def tick(self, behind_s: float = 0.0) -> None:
        """Time has passed for the core; the loop was so far behind."""
        present = self._present()
        self._machine.tick(present, behind_s)
        if self._leasing is not None:
            self._leasing.tick()
        for partition, owned in self._owned.items():
            if not owned.is_stopping:
                self._metrics.expired.inc(self._expiry.go_on(partition, present.wall, present.steady))
        self._measure()

    def _measure(self) -> None:
        self._metrics.running.set(self._machine.running)
        self._metrics.in_memory.set(self._machine.in_memory)
        for cap, reached in self._machine.caps.items():
            if reached != self._caps[cap]:
                self._metrics.caps.labels(cap).inc(reached - self._caps[cap])
                self._caps[cap] = reached


class Tables:
    """What the core reads of the tables."""

    def __init__(self, recording: Recording) -> None:
        self.row, self.index = recording.parked.get, recording.parked.index
        self._idempotency = recording.idempotency

    def known(self, partition: int, key: bytes) -> IdempotencyEntry | None:
        """What is known of an idempotency key."""
        return self._idempotency.get(partition, key)
