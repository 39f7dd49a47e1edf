"""Puts the router and the workers together from their parts."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from agents import providers
from agents.executor import Executor
from agents.handlers.registry import Handler
from agents.hands import WorkerHands
from agents.recording import Recording
from agents.router import Router
from agents.spreadsheet.workbooks import Workbooks
from agents.tables import CellsTable
from agents.worker import Worker
from connectors.kafka.registry import codec
from ops import role
from schemas.tiers import Tier
from streams.core.home import Limits
from streams.metrics import RouterMetrics, WorkerMetrics
from streams.settings import Settings
from streams.topics import Topology


def router(settings: Settings, metrics: CollectorRegistry) -> role.Made:
    """The router's app."""
    app = role.engine_app("router", settings, metrics)
    Router(app, Topology.of(settings.kafka), codec(settings.kafka), RouterMetrics(metrics)).attach()
    return app, role.nothing


def worker(
    tier: Tier, handlers: Mapping[str, Handler], settings: Settings, metrics: CollectorRegistry
) -> role.Made:
    """The app of a tier's worker, with these handlers."""
    app = role.engine_app(f"worker-{tier.value}", settings, metrics)
    topology, records = Topology.of(settings.kafka), codec(settings.kafka)
    counted = WorkerMetrics(metrics)
    recording = Recording(app, topology, tier, records, settings.process.instance, counted)
    # Documents live in tier 2: their events and the jobs on their cells are all of that tier.
    cells = CellsTable(app, topology, records) if tier is Tier.IMPORTANT else None
    outside, workbooks = providers.build(settings.providers), Workbooks()
    executor = Executor(handlers, outside, workbooks, cells, counted)
    hands = WorkerHands(app, topology, tier, executor, recording, workbooks, counted)
    limits = Limits(settings.process.concurrency)
    Worker(app, topology, tier, records, hands, recording, workbooks, limits, counted).attach()
    return app, outside.aclose
