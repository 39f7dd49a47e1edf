"""The topics of one run and the records in its sources."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.acknowledgement import ONE_REQUEST
from tests.topics import await_known


@dataclass(frozen=True)
class Load:
    """`records` per source topic over `keys` keys; the n-th record of a key has the value `key:n`."""

    bootstrap: str
    run: str
    sources: int
    partitions: int
    records: int
    keys: int = 500
    replication: int = 1

    @property
    def source_topics(self) -> list[str]:
        """Where the records lie."""
        return [f"{self.run}-source-{number}" for number in range(self.sources)]

    @property
    def output_topics(self) -> list[str]:
        """Where the answers go; the n-th belongs to the n-th source."""
        return [f"{self.run}-output-{number}" for number in range(self.sources)]

    @property
    def changelog(self) -> str:
        """The changelog of the table."""
        return f"{self.run}-changelog"

    @property
    def total(self) -> int:
        """Records in all sources."""
        return self.records * self.sources

    def key(self, source: int, number: int) -> bytes:
        """The key of a source's n-th record; keys of different sources differ."""
        return b"k%d-%d" % (source, number % self.keys)

    def create(self) -> None:
        """Create the topics."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        new = [self._topic(name, {}) for name in self.source_topics + self.output_topics]
        new.append(self._topic(self.changelog, {"cleanup.policy": "compact"}))
        for created in admin.create_topics(new).values():
            created.result()
        await_known(admin, [topic.topic for topic in new])

    def fill(self, span_s: float) -> None:
        """Write half of the records at once and the rest evenly over the span: idle and busy times alike."""
        producer = Producer(
            {**ONE_REQUEST, "bootstrap.servers": self.bootstrap, "linger.ms": 5, "enable.idempotence": True,
             "partitioner": "murmur2_random"}
        )  # fmt: skip
        begun, half = time.monotonic(), self.records // 2
        for number in range(self.records):
            for source, topic in enumerate(self.source_topics):
                key = self.key(source, number)
                value = b"%s:%d" % (key, number // self.keys)
                producer.produce(topic, value, key, on_delivery=_check_delivery)
            if number % 100 == 0:
                producer.poll(0)
                due = begun + span_s * (number - half) / half
                time.sleep(max(0.0, due - time.monotonic()))
        assert producer.flush(120) == 0, "the records could not be written"

    def _topic(self, name: str, config: dict[str, str]) -> NewTopic:
        return NewTopic(name, self.partitions, self.replication, config=config)


def _check_delivery(error: KafkaError | None, record: Message) -> None:
    assert error is None, f"a record of the load was not written: {error}"


class Progress:
    """How far the group has committed, seen from outside."""

    def __init__(self, load: Load, group: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": load.bootstrap, "group.id": group})
        self._parts = [
            TopicPartition(topic, number) for topic in load.source_topics for number in range(load.partitions)
        ]

    def committed(self) -> int | None:
        """Sum of the committed offsets; None when the broker does not answer now."""
        try:
            return sum(max(0, part.offset) for part in self._consumer.committed(self._parts, 5))
        except KafkaException:
            return None

    def close(self) -> None:
        """Release the client."""
        self._consumer.close()


def read_all(bootstrap: str, topic: str, partitions: int, limit_s: float = 60.0) -> Iterator[Message]:
    """All committed records of the topic, partition by partition in order."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "proof", "isolation.level": "read_committed",
         "enable.partition.eof": True, "enable.auto.commit": False}
    )  # fmt: skip
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    ended: set[int | None] = set()
    deadline = time.monotonic() + limit_s
    try:
        while len(ended) < partitions:
            assert time.monotonic() < deadline, f"{topic} was not read to its end in {limit_s:.0f} s"
            for message in consumer.consume(5000, 0.5):
                if message.error() is None:
                    yield message
                else:
                    ended.add(message.partition())
    finally:
        consumer.close()
