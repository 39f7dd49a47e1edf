"""A consumer whose target is a table that holds every record's place, once per time it was written.

    python -m tests.integration.connectors.ledger_process exact|naive BOOTSTRAP TOPIC DATABASE_URL

`exact` is the product's loop with its compare-and-set; `naive` writes and commits its offsets afterwards,
each second, as consumers commonly do.
"""

import sys
import time
from collections.abc import Collection, Sequence
from typing import Any

import psycopg
from confluent_kafka import Consumer, Message
from prometheus_client import CollectorRegistry

from connectors.consuming.loop import Consuming, source
from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.positions import Move, Place
from connectors.consuming.settings import consumer_config
from connectors.consuming.target import TargetAwayError
from connectors.postgres.connection import connect
from connectors.postgres.sink import move_offsets
from connectors.postgres.statements import FIND_OFFSETS
from streams.settings import KafkaSettings


def insert(connection: psycopg.Connection[Any], messages: Sequence[Message]) -> None:
    with connection.cursor().copy("copy ledger (topic, partition, at) from stdin") as copy:
        for message in messages:
            (topic, partition), offset = source(message)
            copy.write_row((topic, partition, offset))


class Ledger:
    """Rows and offsets in one transaction, by the product's compare-and-set."""

    name = "ledger"

    def __init__(self, database_url: str) -> None:
        self._connection = connect(database_url, "ledger")

    def positions(self, places: Collection[Place]) -> dict[Place, int]:
        topics, numbers = [place[0] for place in places], [place[1] for place in places]
        try:
            with self._connection.transaction():
                rows = self._connection.execute(FIND_OFFSETS, (topics, numbers)).fetchall()
        except psycopg.Error as error:
            raise TargetAwayError(str(error)) from error
        return dict.fromkeys(places, 0) | {(topic, number): next_ for topic, number, next_ in rows}

    def write(self, messages: Sequence[Message], moves: Sequence[Move]) -> int:
        try:
            with self._connection.transaction():
                move_offsets(self._connection, moves)
                insert(self._connection, messages)
        except psycopg.Error as error:
            raise TargetAwayError(str(error)) from error
        return len(messages)

    def close(self) -> None:
        self._connection.close()


def exact(config: dict[str, Any], topic: str, database_url: str) -> None:
    Consuming(
        config,
        [topic],
        Ledger(database_url),
        ConsumingMetrics(CollectorRegistry()),
        batch_records=100,
    ).run()


def naive(config: dict[str, Any], topic: str, database_url: str) -> None:
    consumer = Consumer({**config, "enable.auto.offset.store": True})
    consumer.subscribe([topic])
    connection = psycopg.connect(database_url)
    committed_at = time.monotonic()
    while True:
        messages = [message for message in consumer.consume(100, 0.05) if message.error() is None]
        with connection.transaction():
            insert(connection, messages)
        if messages and time.monotonic() - committed_at > 1:
            consumer.commit(asynchronous=False)
            committed_at = time.monotonic()


if __name__ == "__main__":
    kind, bootstrap, topic, url = sys.argv[1:]
    kafka = KafkaSettings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": bootstrap})
    {"exact": exact, "naive": naive}[kind](consumer_config(kafka, f"{topic}-{kind}", kind), topic, url)
