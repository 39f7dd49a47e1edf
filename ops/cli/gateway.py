"""`tierflow gateway`: the HTTP role, put together from the settings."""

import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress

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
from ops import probe
from ops.gateway_outside import Outside
from streams import log
from streams.settings import ProviderSettings, Settings, load

LOG = log.get("tierflow.gateway")

_GRACE_S = 10
_NOT_STARTED = 3


@click.command("gateway")
def command() -> None:
    """Serve the HTTP API. Without authentication (TIERFLOW_AUTH=open) on 127.0.0.1 only."""
    settings = load()
    log.configure(settings.process)
    host = host_of(settings.auth, settings.gateway.host)
    metrics = probe.registry()
    app = make_app(settings, handlers.load(settings.handlers.packages), metrics)
    if settings.auth.mode == "open":
        LOG.warning("no authentication: everyone on this machine is admin of the tenant `demo`", host=host)
    if settings.process.metrics_port:
        checks: Checks = app.state["checks"]
        probe.serve(settings.process, metrics, lambda: checks.started)
    # uvicorn raises the signal that stopped it once more when it is done: being stopped is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    LOG.info("gateway listens", host=host, port=settings.gateway.port)
    config = uvicorn.Config(
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
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run([_shared(host, settings.gateway.port)] if settings.gateway.shared_port else None)
    if not server.started:
        raise SystemExit(_NOT_STARTED)


def _shared(host: str, port: int) -> socket.socket:
    """A socket that other gateways may listen on, too: one can be replaced while another one serves."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((host, port))
    return made


def make_app(settings: Settings, known: Mapping[str, Handler], metrics: CollectorRegistry) -> Litestar:
    """The application with its real producer and stores; nothing is connected before it starts."""
    outside = Outside.of(settings)
    parts = Parts(
        settings=settings.gateway,
        cors_origins=tuple(filter(None, settings.gateway.cors_origins.split(","))),
        topology=outside.topology,
        codec=outside.codec,
        verifier=verifier_of(settings.auth),
        producer=outside.producer,
        status=outside.status,
        records=outside.records,
        letters=outside.letters,
        redrives=outside.redrives,
        available=frozenset(known),
        missing_setting=missing_setting(known, settings.providers),
        probes=outside.probes(),
        registry=metrics,
        orders=outside.control.orders,
        limits=settings.limits.groups(),
        rate_limits=outside.limit_rows.rows,
        loopback_only=settings.auth.mode == "open",
    )
    return create_app(parts, [outside.connected])


def missing_setting(known: Mapping[str, Handler], providers: ProviderSettings) -> Callable[[str], str | None]:
    """Which setting a job type's provider lacks, by the name of its environment variable."""
    fields = ProviderSettings.model_fields

    def missing(kind: str) -> str | None:
        needs = known[kind].needs if kind in known else None
        if needs is None or getattr(providers, needs) is not None:
            return None
        return str(fields[needs].alias)

    return missing
