"""`tierflow monitor`: the role that exports lag, queue depths and what services answer."""

import signal
import threading

import click

from agents.handlers import registry as handlers
from connectors.audit.watch import LedgerWatch
from connectors.kafka.registry import codec
from ops import probe
from ops.monitor.watch import Watch
from streams.log import configure
from streams.settings import load

_LEDGER_STOP_S = 3.0


@click.command("monitor")
@click.option(
    "--interval", "interval_s", default=5.0, type=click.FloatRange(0.5), help="Seconds between two looks."
)
def command(interval_s: float) -> None:
    """Export lag, queue depths and service states, as seen from outside."""
    settings = load()
    configure(settings.process)
    handlers.declare(settings.handlers.packages)
    registry = probe.registry()
    watch = Watch(settings, registry, interval_s)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = probe.serve(settings.process, registry, lambda: watch.ready)
    # Beside the rounds, not among them: a ledger that reads a large backlog must not make the lag stale.
    ledger = LedgerWatch(settings.kafka, codec(settings.kafka), registry)
    books = threading.Thread(target=ledger.run, args=(stop,), name="ledger", daemon=True)
    books.start()
    watch.run(stop)
    books.join(_LEDGER_STOP_S)
    server.shutdown()
