"""Puts the router, the limiter and the workers together from their parts."""

from collections.abc import Mapping
from time import time_ns

from prometheus_client import CollectorRegistry

from agents import providers
from agents.executor import Executor, present
from agents.handlers.registry import Handler, in_process, own_types
from agents.hands import WorkerHands
from agents.leasing import Leasing
from agents.limiter import LimiterAgent
from agents.recording import Recording
from agents.router import Router
from agents.running.hung import Hung
from agents.running.processes import Processes
from agents.spreadsheet.workbooks import Workbooks
from agents.tables import CellsTable
from agents.worker import Worker
from connectors.kafka.limit_link import LimitLink
from connectors.kafka.registry import codec
from ops import role
from schemas.catalogue import JOB_TYPES
from schemas.limits import find_group
from schemas.tiers import Tier
from streams.control import ControlReader
from streams.core.leases import Leases
from streams.core.limits import Limits
from streams.metrics import LimiterMetrics, RouterMetrics, WorkerMetrics
from streams.settings import Settings
from streams.topics import Topology
from streams.transport.errors import Exit

# Workers begin with what is committed: in a burst they are not to wait for thousands.
ROUTED_AT_ONCE = 2_000


def router(settings: Settings, metrics: CollectorRegistry) -> role.Made:
    """The router's app."""
    app = role.engine_app("router", settings, metrics, batch_records=ROUTED_AT_ONCE)
    Router(app, Topology.of(settings.kafka), codec(settings.kafka), RouterMetrics(metrics)).attach()
    return app, role.nothing


def limiter(settings: Settings, metrics: CollectorRegistry) -> role.Made:
    """The limiter's app."""
    app = role.engine_app("limiter", settings, metrics)
    topology, records = Topology.of(settings.kafka), codec(settings.kafka)
    LimiterAgent(app, topology, records, settings.limits.groups(), LimiterMetrics(metrics)).attach()
    return app, role.nothing


def _leases(tier: Tier, settings: Settings) -> Leases:
    """The leases of a new life, for the groups of the tier's job types."""
    groups = {find_group(t.limit_group) for t in JOB_TYPES.values() if t.tier is tier and t.limit_group}
    return Leases(settings.process.instance, time_ns(), sorted(groups))


def worker(
    tier: Tier, handlers: Mapping[str, Handler], settings: Settings, metrics: CollectorRegistry, *,
    limited: bool = True,
) -> role.Made:  # fmt: skip
    """The app of a tier's worker, with these handlers; one that is not `limited` calls as fast as it can."""
    app = role.engine_app(f"worker-{tier.value}", settings, metrics)
    topology, records = Topology.of(settings.kafka), codec(settings.kafka)
    counted = WorkerMetrics(metrics)
    recording = Recording(app, topology, tier, records, settings.process.instance, counted)
    # Documents live in tier 2: their events and the jobs on their cells are all of that tier.
    cells = CellsTable(app, topology, records) if tier is Tier.IMPORTANT else None
    outside, workbooks = providers.build(settings.providers), Workbooks()
    processes = Processes(settings.handlers.cpu_processes, own_types(handlers), settings.process)
    most = min(settings.handlers.hung_threads, max(1, settings.process.concurrency // 2))
    hung = Hung(counted.overdue, most, lambda: app.leave(Exit.THREADS_HUNG))
    executor = Executor(handlers, outside, workbooks, cells, counted, processes, hung=hung)
    hands = WorkerHands(app, topology, tier, executor, recording, workbooks, counted)
    limits = Limits(
        settings.process.concurrency, hold=settings.hold.rule(),
        processes=settings.handlers.cpu_processes, in_process=in_process(handlers),
    )  # fmt: skip
    control = ControlReader(settings.kafka, topology.control, records)
    link = LimitLink(settings.kafka, topology, records, settings.process.instance)
    leasing = Leasing(_leases(tier, settings), link, counted, present) if limited else None
    Worker(
        app,
        topology,
        tier,
        records,
        hands,
        recording,
        workbooks,
        limits,
        counted,
        leasing=leasing,
        control=control,
    ).attach()

    async def close() -> None:
        await control.close()
        if leasing is not None:
            await leasing.close()
        executor.close()
        await outside.aclose()

    return app, close
