"""A sink as it is often written: insert, and commit the offset afterwards. It must fail the suite.

`python -m tests.chaos.naive_sink KAFKA DATABASE_URL FOLDER PARTITIONS`
"""

import sys
import time

import psycopg
from confluent_kafka import Consumer

from streams.settings import load
from streams.topics import Topology

TABLE = "create table if not exists naive_rows (partition int, at bigint)"
BATCH, COMMIT_EVERY_S = 200, 2.0


def main() -> None:
    """Read the events, a row a record."""
    kafka, database = sys.argv[1:3]
    consumer = Consumer(
        {
            "bootstrap.servers": kafka, "group.id": "naive-sink", "group.protocol": "classic",
            "session.timeout.ms": 6_000, "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )  # fmt: skip
    consumer.subscribe([Topology.of(load({}).kafka).events])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLE)
        committed = time.monotonic()
        while True:
            for record in consumer.consume(BATCH, 0.2):
                if record.error() is None:
                    row = (record.partition(), record.offset())
                    connection.execute("insert into naive_rows values (%s, %s)", row)
            if time.monotonic() - committed > COMMIT_EVERY_S:
                consumer.commit(asynchronous=True)
                committed = time.monotonic()


if __name__ == "__main__":
    main()
