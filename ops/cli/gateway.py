"""`tierflow gateway`: the HTTP role, put together from the settings."""

import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import click
import uvicorn
from litestar import Litestar
from prometheus_client import CollectorRegistry

from agents.handlers import registry as handlers
from agents.handlers.registry import Handler
from connectors.gateway.app import create_app
from connectors.gateway.health import Checks
from connectors.gateway.parts import Parts
from connectors.gateway.verifier import host_of, verifier_of
from connectors.kafka.producer import Producer
from connectors.kafka.registry import codec
from connectors.postgres.queries import JobQueries
from connectors.redis.status import StatusStore
from ops import probe
from streams import log
from streams.settings import ProviderSettings, Settings, load
from streams.topics import Topology

LOG = log.get("tierflow.gateway")

_GRACE_S = 10


@click.command("gateway")
def command() -> None:
    """Serve the HTTP API. Without authentication (TIERFLOW_AUTH=open) on 127.0.0.1 only."""
    settings = load()
    log.configure(settings.process)
    host = host_of(settings.auth, settings.gateway.host)
    metrics = probe.registry()
    app = make_app(settings, handlers.load(), metrics)
    if settings.auth.mode == "open":
        LOG.warning("no authentication: everyone on this machine is admin of the tenant `demo`", host=host)
    if settings.process.metrics_port:
        checks: Checks = app.state["checks"]
        probe.serve(settings.process.metrics_port, metrics, lambda: checks.started)
    # uvicorn raises the signal that stopped it once more when it is done: being stopped is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    LOG.info("gateway listens", host=host, port=settings.gateway.port)
    uvicorn.run(
        app,
        host=host,
        port=settings.gateway.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )


def make_app(settings: Settings, known: Mapping[str, Handler], metrics: CollectorRegistry) -> Litestar:
    """The application with its real producer and stores; nothing is connected before it starts."""
    producer = Producer(settings.kafka, settings.process.instance)
    status = StatusStore(settings.redis.url.get_secret_value(), settings.kafka.topic_prefix)
    records = JobQueries(settings.postgres.url.get_secret_value())
    topology = Topology.of(settings.kafka)
    parts = Parts(
        settings=settings.gateway,
        cors_origins=tuple(filter(None, settings.gateway.cors_origins.split(","))),
        topology=topology,
        codec=codec(settings.kafka),
        verifier=verifier_of(settings.auth),
        producer=producer,
        status=status,
        records=records,
        available=frozenset(known),
        missing_setting=missing_setting(known, settings.providers),
        probes={
            "kafka": lambda: producer.probe(topology.job_requests),
            "postgres": records.ping,
            "redis": status.ping,
        },
        registry=metrics,
        loopback_only=settings.auth.mode == "open",
    )

    @asynccontextmanager
    async def connected(_: Litestar) -> AsyncIterator[None]:
        producer.start()
        await records.open()
        try:
            yield
        finally:
            await producer.close()
            await records.close()
            await status.close()

    return create_app(parts, [connected])


def missing_setting(known: Mapping[str, Handler], providers: ProviderSettings) -> Callable[[str], str | None]:
    """Which setting a job type's provider lacks, by the name of its environment variable."""
    fields = ProviderSettings.model_fields

    def missing(kind: str) -> str | None:
        needs = known[kind].needs if kind in known else None
        if needs is None or getattr(providers, needs) is not None:
            return None
        return str(fields[needs].alias)

    return missing
