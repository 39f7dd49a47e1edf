"""Reads what the report tells: the tiers' topics since a time, the lag, and the queues as they stand."""

import time
from collections.abc import Callable
from contextlib import suppress

from confluent_kafka import Message

from connectors.consuming.kept import kept_positions
from connectors.kafka.lag_reading import LagReading
from connectors.kafka.readers import readers
from connectors.kafka.reading import Bound, Reader
from connectors.kafka.registry import codec
from connectors.redis.figures import Figures, QueueFigures
from ops.report.history import History, Stretch
from ops.report.page import Found
from schemas.catalogue import QUEUES
from schemas.commands import is_command
from schemas.errors import DecodeError, UnavailableError
from schemas.records import Job, Lifecycle
from schemas.tiers import Tier
from streams.codec import Codec
from streams.settings import KafkaSettings, Settings
from streams.topics import Topology

Progress = Callable[[int, int], None]
"""Called with records read, and about how many there are."""


def read(settings: Settings, stretch: Stretch, progress: Progress) -> Found:
    """Everything that the page needs. Blocks for as long as reading takes; UnavailableError without Kafka."""
    began = time.monotonic()
    history = History(stretch)
    queues = _queues(settings)
    _read_topics(settings.kafka, history, progress)
    reading = LagReading(settings.kafka, kept_positions(settings))
    try:
        lags = reading.read(readers(Topology.of(settings.kafka)))
    finally:
        reading.close()
    return Found(history, lags, queues, time.monotonic() - began)


def _read_topics(kafka: KafkaSettings, history: History, progress: Progress) -> None:
    topology, records = Topology.of(kafka), codec(kafka)
    lanes = {lane for tier in Tier for lane in topology.lanes(tier)}
    topics = [*lanes, *map(topology.lifecycle, Tier)]
    start = Bound(at=history.stretch.start)
    with Reader(kafka, f"{kafka.topic_prefix}report") as reader:
        spans = [span for topic in topics for span in reader.spans(topic, start)]
        whole, done = sum(map(len, spans)), 0
        for batch in reader.read(spans):
            done += len(batch)
            progress(done, whole)
            for message in batch:
                with suppress(DecodeError):  # the worker or the sink has made a dead letter of it
                    _count(message, history, records, lanes)


def _count(message: Message, history: History, records: Codec, lanes: set[str]) -> None:
    value = message.value() or b""
    if message.topic() not in lanes:
        history.lifecycle(records.decode(Lifecycle, value))
        return
    job = records.decode(Job, value)
    if not is_command(job):
        history.job(job)


def _queues(settings: Settings) -> dict[str, QueueFigures] | None:
    figures = Figures(settings.redis.url.get_secret_value(), settings.kafka.topic_prefix)
    try:
        return figures.read(list(QUEUES))
    except UnavailableError:
        return None
    finally:
        figures.close()
