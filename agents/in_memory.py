"""Runs jobs in a unit test: the real router, workers, core and handlers on topics in memory.

    async with InMemory("myapp.jobs") as jobs:
        greeting = jobs.submit("greet", {"name": "Ada"})
        await jobs.run()
        assert jobs[greeting].result == {"said": "hello Ada"}

Time stands still unless a handler takes some or `advance` moves it. Not here: Kafka, its faults, rebalances,
providers' limits, the gateway's answers.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType, TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry

from agents.handlers import registry
from agents.handlers.registry import Handler
from agents.memory.app import MemoryApp
from agents.memory.clock import Clock
from agents.memory.seen import Seen, SeenJob
from agents.memory.topics import Topics
from agents.memory.workers import MemoryWorker
from agents.providers import Providers
from agents.router import Router
from schemas.catalogue import find_kind, find_type
from schemas.commands import Cancel, cancel_request
from schemas.payloads.contract import Contract
from schemas.records import DeadLetter, Job, JobOptions, JobRequest, Lifecycle
from schemas.tiers import Tier
from streams.codec import Codec
from streams.core.admission import Source, job_of_request
from streams.metrics import RouterMetrics
from streams.settings import KafkaSettings
from streams.topics import Topology

# A look at the handlers that run; what they take of real time passes here, too.
LOOK_S = 0.02
NONE: Mapping[str, Handler] = MappingProxyType({})
_NOWHERE = Source("", -1, -1)


class InMemory:
    """The jobs of a test. `packages` name modules of handlers, `handlers` functions; the product's are there.

    `overrides` replaces the handlers of kinds. One that needs a provider gets that in `providers`.
    """

    def __init__(
        self, *packages: str, handlers: Iterable[Callable[..., Any]] = (),
        overrides: Mapping[str, Handler] = NONE, providers: Providers | None = None,
        now: datetime | None = None, concurrency: int = 200,
    ) -> None:  # fmt: skip
        known = {**registry.load(",".join(packages)), **registry.of_functions(handlers), **overrides}
        self.clock = Clock(now or datetime.now(UTC))
        self._topics, self._codec = Topics(), Codec()
        self._topology = Topology.of(KafkaSettings.model_validate({}))
        self._seen = Seen(self._topics, self._topology, self._codec)
        self._accepted: dict[str, Job] = {}
        self._router = self._app()
        metrics = CollectorRegistry()
        Router(self._router, self._topology, self._codec, RouterMetrics(metrics)).attach()  # type: ignore[arg-type]
        self._workers = [self._worker(tier, known, providers or Providers(), concurrency) for tier in Tier]

    def _app(self) -> MemoryApp:
        return MemoryApp(self._topics, {topic.name: 1 for topic in self._topology.topics()})

    def _worker(
        self, tier: Tier, known: Mapping[str, Handler], providers: Providers, concurrency: int
    ) -> MemoryWorker:
        return MemoryWorker(
            tier, self._app(), self._topology, self._codec, known, providers, self.clock, concurrency
        )

    async def __aenter__(self) -> Self:
        for app in self._apps:
            await app.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whatever still runs is cancelled."""
        for app in self._apps:
            await app.crash()
        for worker in self._workers:
            worker.executor.close()

    @property
    def _apps(self) -> list[MemoryApp]:
        return [self._router, *(worker.app for worker in self._workers)]

    # -- jobs

    def submit(
        self, kind: str, data: Contract | Mapping[str, Any], *, queue: str | None = None,
        options: JobOptions | None = None, job_id: str | None = None, document_id: str | None = None,
        user_id: str | None = None, tenant_id: str | None = None,
    ) -> str:  # fmt: skip
        """Add a job; its id. ContractError when the gateway would refuse it."""
        job_type = find_type(queue, kind) if queue is not None else find_kind(kind)
        text = data.model_dump_json(by_alias=True) if isinstance(data, Contract) else json.dumps(data)
        request = JobRequest(
            job_id or str(uuid.uuid4()), job_type.queue, job_type.kind, text, self.clock.now_ms(),
            options or JobOptions(), document_id, user_id=user_id, tenant_id=tenant_id,
        )  # fmt: skip
        self._accepted[request.job_id] = job_of_request(request, _NOWHERE)
        self.send(request)
        return request.job_id

    def cancel(self, job_id: str, reason: str | None = None) -> None:
        """Order the end of a job that was submitted here, as an operator does; LookupError for another."""
        job = self._accepted[job_id]
        order = Cancel(job_id, job.tier, "test", reason=reason)
        self.send(
            cancel_request(order, job.ordering_key, command_id=str(uuid.uuid4()), at=self.clock.now_ms())
        )

    def send(self, request: JobRequest) -> None:
        """Write a request as any Kafka client would, right or not."""
        self._topics.append(self._topology.job_requests, self._codec.encode(request), request.job_id.encode())

    def __getitem__(self, job_id: str) -> SeenJob:
        """A job as it stands; one that nobody has touched yet is waiting."""
        self._seen.read()
        return self._seen.jobs.get(job_id) or SeenJob(job_id, "")

    @property
    def jobs(self) -> list[SeenJob]:
        """Every job that has moved, child jobs included, in the order of their first move."""
        self._seen.read()
        return list(self._seen.jobs.values())

    @property
    def lifecycles(self) -> list[Lifecycle]:
        """The records of all histories, as they were written."""
        self._seen.read()
        return self._seen.lifecycles

    @property
    def letters(self) -> list[DeadLetter]:
        """The dead letters."""
        self._seen.read()
        return self._seen.letters

    @property
    def running(self) -> int:
        """Handlers under way."""
        return sum(len(app.tasks) for app in self._apps)

    # -- time

    async def run(self) -> None:
        """Return when nothing goes on before time passes: every handler has ended, the rest is delayed."""
        while True:
            if await self._turn():
                continue
            running = [task for app in self._apps for task in app.tasks]
            if not running:
                return
            began = time.monotonic()
            await asyncio.wait(running, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            self.clock.advance(timedelta(seconds=time.monotonic() - began))

    async def _turn(self) -> bool:
        """Everything once; whether it led to anything."""
        moved = [await app.deliver() for app in self._apps]
        for worker in self._workers:
            worker.tick()
        await asyncio.sleep(0)  # what ended tells the core
        return any(moved + [app.commit() for app in self._apps])

    async def advance(self, span: timedelta) -> None:
        """Time goes by; what is due on the way runs when it is due."""
        end = self.clock.now_ms() + round(span.total_seconds() * 1000)
        await self.run()
        while (due := self._next_due()) is not None and due <= end:
            await self._until(due)
        await self._until(end)

    async def finish(self, job_id: str | None = None) -> None:
        """Let time pass until this job has ended, or every job; LookupError when it never will."""
        await self.run()
        while not (self._is_quiet() if job_id is None else self[job_id].has_ended):
            due = self._next_due()
            if due is None:
                raise LookupError(f"nothing is due any more: {job_id or [j.job_id for j in self.jobs]}")
            await self._until(due)

    async def crash(self) -> None:
        """Every process dies, with all that it had not committed, and starts again."""
        for app in self._apps:
            await app.crash()
            await app.open()

    async def _until(self, at: int) -> None:
        self.clock.advance(timedelta(milliseconds=max(0, at - self.clock.now_ms())))
        await self.run()

    def _next_due(self) -> int | None:
        dues = [due for worker in self._workers for due in worker.dues() if due > self.clock.now_ms()]
        return min(dues, default=None)

    def _is_quiet(self) -> bool:
        return all(job.has_ended for job in self.jobs) and not any(
            True for worker in self._workers for _ in worker.dues()
        )
