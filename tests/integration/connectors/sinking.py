"""What the tests of the sink share: topics of their own, jobs written to them, and the role as a process."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.priorities import lane_of
from schemas.records import Job, Lifecycle
from schemas.tiers import Tier
from streams.acknowledgement import ONE_REQUEST
from streams.codec import Codec
from streams.settings import KafkaSettings
from streams.topics import Topology
from tests.stack import ROOT, clean_environment
from tests.topics import made_topics

CODEC = Codec()
DEADLINE_S = 120.0
# How much of a log is shown, in characters.
SHOWN = 20_000


def await_true(holds: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Return when it holds; AssertionError with `what` after the deadline."""
    end = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(0.05)


@dataclass
class Feed:
    """Topics under a prefix of their own, and a producer to them."""

    kafka: KafkaSettings
    topology: Topology
    producer: Any
    _refused: list[str] = field(default_factory=list)

    @classmethod
    def create(cls, bootstrap: str, prefix: str, partitions: int = 4) -> "Feed":
        """Make the topics."""
        kafka = KafkaSettings.model_validate(
            {
                "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
                "TIERFLOW_TOPIC_PREFIX": prefix,
                "TIERFLOW_PARTITIONS": partitions,
                "TIERFLOW_REPLICATION": 1,
            }
        )
        made_topics(kafka)
        # Topics are new: their first record would be lost now and then.
        ordered = {**ONE_REQUEST, "partitioner": "murmur2_random", "enable.idempotence": True}
        producer = Producer({**kafka.client(), **ordered})
        return cls(kafka, Topology.of(kafka), producer)

    def send(self, record: Job | Lifecycle, key: str = "") -> None:
        """Write a record where the router or the worker writes it."""
        tier = Tier(record.tier)
        topic = (
            self.topology.lane(tier, lane_of(record.priority))
            if isinstance(record, Job)
            else self.topology.lifecycle(tier)
        )
        self.send_raw(topic, CODEC.encode(record), key or record.job_id)

    def send_raw(self, topic: str, value: bytes | None, key: str = "k") -> None:
        """Write bytes to a topic."""
        self.producer.produce(topic, value, key, on_delivery=self._delivered)
        self.producer.poll(0)

    def flush(self) -> None:
        """Return when everything is acknowledged."""
        assert self.producer.flush(60) == 0
        assert not self._refused

    def _delivered(self, error: Any, _: Any) -> None:
        if error is not None:
            self._refused.append(str(error))

    def delete(self) -> None:
        """Take the topics away again: thousands of partitions slow the tests' single broker down."""
        names = [topic.name for topic in self.topology.topics()]
        admin = AdminClient(self.kafka.client())
        for deleted in admin.delete_topics(names).values():
            deleted.result(60)

    def made_anew(self) -> "Feed":
        """What was in Kafka is gone; empty topics take its place: to clients another cluster."""
        self.delete()
        found: list[Feed] = []

        def made() -> bool:
            try:
                kafka = self.kafka
                found.append(Feed.create(kafka.bootstrap_servers, kafka.topic_prefix, kafka.partitions))
            except Exception:  # the broker still deletes
                return False
            return True

        await_true(made, "new topics")
        return found[0]

    def ends(self, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """The end of every partition that has records."""
        consumer = Consumer({**self.kafka.client(), "group.id": "ends"})
        places = [(topic, number) for topic in topics for number in range(self.kafka.partitions)]
        ends: dict[tuple[str, int], int] = {}

        def ask() -> bool:
            # A new client may not know the topics yet.
            with contextlib.suppress(KafkaException):
                for place in places[len(ends) :]:
                    ends[place] = consumer.get_watermark_offsets(TopicPartition(*place), timeout=10)[1]
            return len(ends) == len(places)

        await_true(ask, "the ends of the topics")
        consumer.close()
        return {place: end for place, end in ends.items() if end}

    def read(self, topic: str) -> list[Any]:
        """Every record of a topic."""
        ends = self.ends([topic])
        if not ends:
            return []
        consumer = Consumer({**self.kafka.client(), "group.id": "read"})
        consumer.assign([TopicPartition(topic, number, 0) for _, number in ends])
        found: list[Any] = []

        def complete() -> bool:
            # No more than there are: it would wait for them.
            left = min(1000, sum(ends.values()) - len(found))
            found.extend(message for message in consumer.consume(left, 0.2) if message.error() is None)
            return len(found) >= sum(ends.values())

        await_true(complete, f"all of {topic}")
        consumer.close()
        return found


class SinkProcess:
    """The role `sink` as `tierflow sink` runs it."""

    def __init__(self, feed: Feed, database_url: str, redis_url: str, log: Path, instance: str = "sink-0"):
        self._environment = clean_environment(
            {
                "KAFKA_BOOTSTRAP_SERVERS": feed.kafka.bootstrap_servers,
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "TIERFLOW_TOPIC_PREFIX": feed.kafka.topic_prefix,
                "TIERFLOW_PARTITIONS": str(feed.kafka.partitions),
                "TIERFLOW_REPLICATION": "1",
                "TIERFLOW_INSTANCE": instance,
                "PYTHONFAULTHANDLER": "1",
                "TIERFLOW_METRICS_PORT": "0",
                "TIERFLOW_GROUP_PROTOCOL": feed.kafka.group_protocol,
            }
        )
        self.log = log
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; does not wait."""
        with self.log.open("ab") as out:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "ops.cli.main", "sink"],
                cwd=ROOT,
                env=self._environment,
                stdout=out,
                stderr=out,
            )

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self._child is not None
        self._child.send_signal(number)

    def kill(self) -> None:
        """End it as a crash does."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """End it as an operator does; the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout_s: float = 60.0) -> int:
        """The exit status, once it has ended."""
        assert self._child is not None
        return self._child.wait(timeout_s)

    def tell(self) -> None:
        """Print whether it runs, where each of its threads is then, and its log. Ends it."""
        if self._child is None:
            return  # the one before it did not start: that is the error to see
        print(f"exit status {self._child.poll()}")
        if self._child.poll() is None:
            self.signal(signal.SIGABRT)
            self.wait()
        print(self.log.read_text(errors="replace")[-SHOWN:])

    def end(self) -> None:
        """Leave nothing running."""
        if self._child is not None and self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child.pid, signal.SIGCONT)
            self.kill()


@contextlib.contextmanager
def running(*processes: SinkProcess) -> Iterator[None]:
    """Start the processes and leave none behind. When the test fails, pytest shows what they said."""
    try:
        for process in processes:
            process.start()
        yield
    except BaseException:
        for process in processes:
            process.tell()
        raise
    finally:
        for process in processes:
            process.end()


def offsets(database_url: str) -> dict[tuple[str, int], int]:
    """How far the sink has written."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("select topic, partition, next from sink_offsets where next > 0").fetchall()
    return {(topic, partition): following for topic, partition, following in rows}


def scalar(database_url: str, query: str) -> Any:
    """The single value that a query gives."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def await_count(database_url: str, query: str, at_least: int, deadline_s: float = DEADLINE_S) -> None:
    """Return when the count that a query gives is reached."""
    await_true(lambda: scalar(database_url, query) >= at_least, f"{query}: {at_least}", deadline_s)
