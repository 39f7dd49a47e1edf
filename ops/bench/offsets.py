"""How far a stream has come, asked of the brokers: cheap enough to be asked while it is measured."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

TIMEOUT_S = 30.0
_NOT_YET = (
    KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE,
)  # fmt: skip


def create_topics(bootstrap: str, names: Sequence[str], partitions: int) -> None:
    """Create the topics and wait until the broker lists them."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for answer in admin.create_topics([NewTopic(name, partitions) for name in names]).values():
        answer.result(TIMEOUT_S)
    deadline = time.monotonic() + TIMEOUT_S
    while not set(names) <= admin.list_topics(timeout=TIMEOUT_S).topics.keys():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the broker does not list {', '.join(names)}")
        time.sleep(0.05)


def delete_topics(bootstrap: str, prefix: str) -> None:
    """Delete every topic whose name begins so."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    ours = [name for name in admin.list_topics(timeout=TIMEOUT_S).topics if name.startswith(prefix)]
    if ours:
        for answer in admin.delete_topics(ours).values():
            answer.result(TIMEOUT_S)


def reader(bootstrap: str, group: str, isolation: str = "read_committed") -> Consumer:
    """A consumer that joins no group."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
        }
    )


def consumed(asking: Consumer, topic: str, partitions: int) -> int:
    """Records of a topic, filled without transactions, below the group's committed offsets."""
    places = [TopicPartition(topic, partition) for partition in range(partitions)]
    found: list[TopicPartition] = _asked(lambda: asking.committed(places, timeout=TIMEOUT_S))
    return sum(max(0, place.offset) for place in found)


def written(asking: Consumer, topic: str, partitions: int) -> int:
    """Offsets of a topic up to where this reader may read: records, and markers of transactions."""
    places = [TopicPartition(topic, partition) for partition in range(partitions)]
    return sum(end(asking, place) for place in places)


def end(asking: Consumer, place: TopicPartition) -> int:
    """The end of a partition."""
    return int(_asked(lambda: asking.get_watermark_offsets(place, timeout=TIMEOUT_S))[1])


def _asked(question: Callable[[], Any]) -> Any:
    """The broker's answer; asked again while it still makes itself the leader, or the coordinator."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return question()
        except KafkaException as error:
            if not error.args[0].retriable() and error.args[0].code() not in _NOT_YET:
                raise
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def count_committed(bootstrap: str, topic: str, partitions: int) -> int:
    """Read the topic to its end as read_committed and count its records."""
    consumer, records = reader(bootstrap, f"{topic}-count"), 0
    ended: set[int | None] = set()
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
    deadline = time.monotonic() + 60
    try:
        while len(ended) < partitions and time.monotonic() < deadline:
            for message in consumer.consume(10_000, 0.2):
                if message.error() is None:
                    records += 1
                else:
                    ended.add(message.partition())
    finally:
        consumer.close()
    return records
