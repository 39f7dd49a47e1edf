"""The worker of one tier, put together as `ops/compose.py` does it, on an app in memory."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from agents.executor import Executor
from agents.handlers.registry import Handler, in_process, own_types
from agents.hands import WorkerHands
from agents.memory.app import MemoryApp
from agents.memory.clock import Clock
from agents.providers import Providers
from agents.recording import Recording
from agents.running.processes import Processes
from agents.spreadsheet.workbooks import Workbooks
from agents.tables import CellsTable
from agents.worker import Worker
from schemas.states import State
from schemas.tiers import Tier
from streams.codec import Codec
from streams.core.limits import Limits
from streams.metrics import WorkerMetrics
from streams.topics import Topology

PROCESSES = 2


class MemoryWorker:
    """One tier's jobs."""

    def __init__(
        self, tier: Tier, app: MemoryApp, topology: Topology, codec: Codec,
        handlers: Mapping[str, Handler], providers: Providers, clock: Clock, concurrency: int,
    ) -> None:  # fmt: skip
        self.app = app
        engine: Any = app
        metrics, workbooks = WorkerMetrics(CollectorRegistry()), Workbooks()
        self._recording = Recording(engine, topology, tier, codec, f"worker-{tier.value}", metrics)
        cells = CellsTable(engine, topology, codec) if tier is Tier.IMPORTANT else None
        self.executor = Executor(
            handlers, providers, workbooks, cells, metrics, Processes(PROCESSES, own_types(handlers)),
            clock.now_ms,
        )  # fmt: skip
        limits = Limits(concurrency, processes=PROCESSES, in_process=in_process(handlers))
        hands = WorkerHands(
            engine, topology, tier, self.executor, self._recording, workbooks, metrics, clock.present
        )
        worker = Worker(
            engine, topology, tier, codec, hands, self._recording, workbooks, limits, metrics,
            clock.present,
        )  # fmt: skip
        worker.attach()
        self.tick = worker.tick

    def dues(self) -> Iterator[int]:
        """When delayed jobs go on, in ms since the epoch."""
        for _, row in self._recording.parked.scan(0):
            if row.state == State.DELAYED:
                yield row.due
