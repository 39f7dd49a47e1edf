"""A worker as plain Faust agents: reads the events, has its effect, goes on. It must fail the suite.

`python -m tests.chaos.naive_worker KAFKA DATABASE_URL FOLDER PARTITIONS`
"""

import sys
from pathlib import Path
from typing import Any

import faust
import psycopg

from streams.settings import load
from streams.topics import Topology

TABLE = "create table if not exists naive_effects (partition int, at bigint)"


def build(kafka: str, database: str, folder: str, partitions: int) -> faust.App:
    """The app, with Faust's usual settings but a session as short as ours."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    app = faust.App(
        "naive-worker",
        broker=f"kafka://{kafka.replace(',', ';kafka://')}",
        store="memory://",
        topic_partitions=partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        datadir=folder,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
    )
    raw: dict[str, Any] = {"key_serializer": "raw", "value_serializer": "raw"}
    events = app.topic(Topology.of(load({}).kafka).events, value_type=bytes, key_type=bytes, **raw)
    connection = psycopg.connect(database, autocommit=True)
    connection.execute(TABLE)

    async def work(stream: Any) -> None:
        async for event in stream.events():
            row = (event.message.partition, event.message.offset)
            connection.execute("insert into naive_effects values (%s, %s)", row)

    app.agent(events)(work)
    return app


def main() -> None:
    """Run until killed."""
    kafka, database, folder, partitions = sys.argv[1:5]
    app = build(kafka, database, folder, int(partitions))
    sys.argv = ["worker", "worker", "-l", "warn", "--without-web"]
    app.main()


if __name__ == "__main__":
    main()
