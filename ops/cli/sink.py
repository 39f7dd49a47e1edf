"""`tierflow sink`: the role that writes Postgres and Redis from the topics."""

import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import click
from prometheus_client import CollectorRegistry

from agents.handlers import registry as handlers
from connectors.consuming.incarnations import Incarnations
from connectors.consuming.loop import Consuming
from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.settings import consumer_config
from connectors.kafka.registry import codec as make_codec
from connectors.kafka.topic_ids import TopicIds
from connectors.postgres import sink as postgres
from connectors.postgres.letters import IngressLetters
from connectors.postgres.retention import PERIOD_S, RetentionMetrics, retain
from connectors.redis import projector as redis
from connectors.redis.keys import prefix_of
from ops import garbage, probe
from ops.compiled import overlay
from schemas.errors import TierflowError
from streams.log import configure, get
from streams.settings import Settings, load
from streams.topics import Topology

log = get(__name__)

STOP_TIMEOUT_S = 15.0


@click.command()
def command() -> None:
    """Write tier-1 jobs and dead letters to Postgres, and the status of all jobs to Redis."""
    settings = load()
    configure(settings.process)
    handlers.declare(settings.handlers.packages)
    registry = probe.registry()
    consumers = make_consumers(settings, registry)
    server = probe.serve(settings.process, registry, lambda: all(consumer.ready for consumer in consumers))
    url, retention = settings.postgres.url.get_secret_value(), RetentionMetrics(registry)
    failed = run_until_stopped(consumers, lambda: keep_to_times(url, retention))
    server.shutdown()
    if failed:
        raise SystemExit(1)


def make_consumers(settings: Settings, registry: CollectorRegistry) -> list[Consuming]:
    """The consumers of this role. Postgres and Redis have a group each: neither waits for the other.

    Several share the partitions of Postgres: one prepares rows while the server writes those of another.
    """
    topology, codec, metrics = (
        Topology.of(settings.kafka),
        make_codec(settings.kafka),
        ConsumingMetrics(registry),
    )
    records = postgres.record_types(topology)
    url = settings.postgres.url.get_secret_value()
    # One for all: of two, one would take another incarnation for the old one for some seconds.
    incarnations = Incarnations(TopicIds(settings.kafka).of)

    def writer() -> Consuming:
        letterbox = IngressLetters(settings.kafka, topology.ingress_dead_letters, codec)
        sink = postgres.PostgresSink(url, records, codec, letterbox, metrics, incarnations=incarnations)
        return Consuming(_config(settings, postgres.GROUP), list(records), sink, metrics)

    projected = redis.record_types(topology)
    projector = redis.RedisProjector(
        settings.redis.url.get_secret_value(),
        prefix_of(settings.kafka.topic_prefix),
        projected,
        codec,
        metrics,
        incarnations,
    )
    return [
        *(writer() for _ in range(settings.postgres.writers)),
        Consuming(
            _config(settings, redis.GROUP),
            list(projected),
            projector,
            metrics,
            batch_records=redis.BATCH_RECORDS,
        ),
    ]


def keep_to_times(database_url: str, metrics: RetentionMetrics) -> None:
    """Retention once; what goes wrong is logged, the metric tells how old the last good run is."""
    try:
        now = datetime.now(UTC)
        kept = retain(database_url, now)
        if not kept.busy:
            metrics.note(kept, now)
    except TierflowError as error:
        log.warning("retention did not run", reason=str(error))


def run_until_stopped(consumers: list[Consuming], hourly: Callable[[], None]) -> bool:
    """Run each consumer in a thread until SIGTERM, SIGINT or the end of one; whether one failed."""
    over, failed = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    threads = [
        threading.Thread(target=_run, args=(consumer, over, failed), daemon=True) for consumer in consumers
    ]
    # Not waited for at the end: a retention that is cut off goes on in the next process.
    threading.Thread(target=_repeat, args=(hourly, over), daemon=True).start()
    garbage.settle()
    log.info("started", role="sink", compiled=overlay.in_use())
    for thread in threads:
        thread.start()
    over.wait()
    for consumer in consumers:
        consumer.stop()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return failed.is_set()


def _repeat(work: Callable[[], None], over: threading.Event) -> None:
    while not over.is_set():
        work()
        over.wait(PERIOD_S)


def _run(consumer: Consuming, over: threading.Event, failed: threading.Event) -> None:
    try:
        consumer.run()
    except Exception:
        # A defect: the process ends, and whoever supervises it starts another.
        log.exception("consumer failed")
        failed.set()
    finally:
        over.set()


def _config(settings: Settings, group: str) -> dict[str, object]:
    name = f"{settings.kafka.topic_prefix}{group}"
    return consumer_config(settings.kafka, name, f"{settings.process.instance}-{group}")
