"""A Kafka with topics of one's own and apps that run inside the test."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.transport.app import EngineApp
from streams.transport.config import EngineConfig
from streams.transport.incarnations import topic_ids
from tests.topics import await_known

PARTITIONS = 2


@dataclass
class Cluster:
    """Topics `<name>` of this test are `self.topic(name)` on the server."""

    bootstrap: str
    run: str
    state_dir: Path

    def topic(self, name: str) -> str:
        return f"{self.run}-{name}"

    def __post_init__(self) -> None:
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap})

    def create(self, *names: str, partitions: int = PARTITIONS) -> None:
        new = [NewTopic(self.topic(name), partitions, 1) for name in names]
        for created in self.admin.create_topics(new).values():
            created.result()
        await_known(self.admin, [topic.topic for topic in new])

    def create_anew(self, *names: str) -> None:
        """Delete and create: the same names, other topics. Blocks until every broker asked says so."""
        old = topic_ids(self.admin, [self.topic(name) for name in names])
        for deleted in self.admin.delete_topics([self.topic(name) for name in names]).values():
            deleted.result()
        poll(lambda: not topic_ids(self.admin, list(old)))
        self.create(*names)
        poll(lambda: len(topic_ids(self.admin, list(old)).keys() & old.keys()) == len(names))

    def produce(self, name: str, *values: bytes, partition: int = 0, key: bytes = b"k") -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap})
        for value in values:
            producer.produce(self.topic(name), value, key, partition)
        assert producer.flush(60) == 0

    def produce_in_transaction(self, name: str, *values: bytes, commit: bool) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "transactional.id": uuid.uuid4().hex})
        producer.init_transactions(60)
        producer.begin_transaction()
        for value in values:
            producer.produce(self.topic(name), value, b"k", 0)
        producer.flush(60)
        producer.commit_transaction(60) if commit else producer.abort_transaction(60)

    def read(self, name: str) -> list[Message]:
        """All committed records."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": "reader", "enable.partition.eof": True,
             "isolation.level": "read_committed", "enable.auto.commit": False}
        )  # fmt: skip
        consumer.assign([TopicPartition(self.topic(name), number, 0) for number in range(PARTITIONS)])
        found, ended = [], 0
        while ended < PARTITIONS:
            for message in consumer.consume(1000, 1):
                error = message.error()
                if error is None:
                    found.append(message)
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    ended += 1
        consumer.close()
        return found

    def values(self, name: str) -> list[bytes | None]:
        return [message.value() for message in self.read(name)]

    def committed(self, name: str, partition: int = 0) -> TopicPartition:
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.run})
        (found,) = consumer.committed([TopicPartition(self.topic(name), partition)], 60)
        consumer.close()
        return found

    def app(self, *, instance: str = "a", store: Any = "memory", **changes: Any) -> EngineApp:
        exits: Callable[[int], object] = _no_exit
        config = EngineConfig(
            bootstrap_servers=self.bootstrap,
            instance=instance,
            state_dir=self.state_dir / instance,
            **{"exit": exits, **changes},
        )
        return EngineApp(self.run, engine=config, partitions=PARTITIONS, store=store)


def _no_exit(code: int) -> None:
    raise AssertionError(f"the engine ended the process with {code}")


@pytest.fixture
def cluster(kafka_bootstrap: str, tmp_path: Path) -> Cluster:
    """Topics and a group of this test alone."""
    return Cluster(kafka_bootstrap, f"it-{uuid.uuid4().hex[:10]}", tmp_path)


@asynccontextmanager
async def running(app: EngineApp, opened: int = PARTITIONS) -> AsyncIterator[EngineApp]:
    """The app from its opened partitions to its clean end."""
    await app.start()
    try:
        await until(lambda: len(app.owned) == opened)
        yield app
    finally:
        await asyncio.wait_for(app.stop(), 60)


async def until(condition: Callable[[], object], limit_s: float = 90.0) -> None:
    """Poll until the condition is true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while not condition():
        assert loop.time() < deadline, "it did not come true in time"
        await asyncio.sleep(0.02)


def poll(condition: Callable[[], object], limit_s: float = 60.0) -> None:
    """Poll until the condition is true. Blocks."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def count(app: EngineApp, metric: str) -> float:
    """A counter of the engine."""
    return app.metrics.registry.get_sample_value(f"tierflow_engine_{metric}_total") or 0.0


Agent = Callable[[Any], Awaitable[None]]
