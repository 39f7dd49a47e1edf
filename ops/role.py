"""Runs one role's Faust app as this process: logging, signals, probe; SIGTERM drains and leaves."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import uvloop
from prometheus_client import CollectorRegistry

from ops import allocator, garbage, probe
from ops.compiled import overlay
from streams import log
from streams.settings import KafkaSettings, ProcessSettings, Settings
from streams.transport.app import EngineApp
from streams.transport.config import EngineConfig
from streams.transport.metrics import EngineMetrics

LOG = log.get("tierflow.role")
Made = tuple[EngineApp, Callable[[], Awaitable[None]]]
"""An app, and what is awaited when it has stopped."""


async def nothing() -> None:
    """For a role that has nothing to close."""


def engine_app(
    name: str, settings: Settings, metrics: CollectorRegistry, batch_records: int = EngineConfig.batch_records
) -> EngineApp:
    """The app of a role: its consumer group is `<prefix><name>`, its state under the data folder."""
    kafka, process = settings.kafka, settings.process
    config = EngineConfig(
        bootstrap_servers=kafka.bootstrap_servers,
        instance=process.instance,
        state_dir=process.data_dir / "state",
        protocol=kafka.group_protocol,
        batch_records=batch_records,
        extra=_connection(kafka),
    )
    return EngineApp(
        f"{kafka.topic_prefix}{name}",
        engine=config,
        partitions=kafka.partitions,
        metrics=EngineMetrics(metrics),
    )


def run(make: Callable[[], Made], process: ProcessSettings, metrics: CollectorRegistry) -> None:
    """Run the app that `make` builds inside the loop until SIGTERM or Ctrl-C."""
    allocator.settle()
    log.configure(process)
    uvloop.run(_serve(make, process, metrics))


async def _serve(make: Callable[[], Made], process: ProcessSettings, metrics: CollectorRegistry) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app, close = make()
    server = probe.serve(process, metrics, lambda: bool(app.owned))
    await app.start()
    garbage.settle()
    LOG.info("started", role=app.conf.id, compiled=overlay.in_use())
    reasons = [asyncio.ensure_future(why()) for why in (stop.wait, app.leaving.wait, app.wait_until_stopped)]
    await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
    LOG.info("stopping", role=app.conf.id)
    await app.stop()
    for reason in reasons:
        reason.cancel()
    await close()
    server.shutdown()
    if app.crashed or app.exit_status:
        raise SystemExit(app.exit_status or 1)


def _connection(kafka: KafkaSettings) -> dict[str, str]:
    return {name: value for name, value in kafka.client().items() if name != "bootstrap.servers"}
