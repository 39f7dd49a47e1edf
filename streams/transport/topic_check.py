"""At start: every topic is there with the expected number of partitions. The engine creates none."""

import time
from collections.abc import Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.transport.config import EngineConfig
from streams.transport.errors import TopicMismatch

_NEW_TOPIC_S = 3.0


def partition_counts(admin: AdminClient, timeout_s: float = 5.0) -> dict[str, int]:
    """Partition count of every topic of the cluster. Blocks; raises KafkaException when no broker answers."""
    found = admin.list_topics(timeout=timeout_s).topics
    return {name: len(topic.partitions) for name, topic in found.items() if topic.error is None}


def wait_for_counts(config: EngineConfig) -> dict[str, int]:
    """Like `partition_counts`, but waits up to `topic_check_s` for a broker. Blocks."""
    admin = AdminClient(dict(config.client()))
    deadline = time.monotonic() + config.topic_check_s
    while True:
        try:
            return partition_counts(admin)
        except KafkaException as error:
            if time.monotonic() > deadline:
                waited = f"{config.topic_check_s:.0f} s"
                servers = config.bootstrap_servers
                raise TopicMismatch(f"no answer from Kafka at {servers} for {waited}: {error}") from error


def checked_counts(config: EngineConfig, expected: Mapping[str, str], partitions: int) -> dict[str, int]:
    """Partition counts of all topics; TopicMismatch as `verify`. Blocks.

    A topic may have been created a moment ago: brokers learn of it one after the other.
    """
    deadline = time.monotonic() + _NEW_TOPIC_S
    while True:
        counts = wait_for_counts(config)
        if all(topic in counts for topic in expected) or time.monotonic() > deadline:
            verify(expected, partitions, counts)
            return counts
        time.sleep(0.2)


def verify(expected: Mapping[str, str], partitions: int, found: Mapping[str, int]) -> None:
    """Raise TopicMismatch that names every wrong topic and the fix.

    `expected` maps the topic to what it is for.
    """
    problems = []
    for topic, purpose in sorted(expected.items()):
        count = found.get(topic)
        if count is None:
            problems.append(
                f"topic {topic} ({purpose}) does not exist: create it with {partitions} partitions"
                " (`tierflow topics create`)"
            )
        elif count != partitions:
            problems.append(
                f"topic {topic} ({purpose}) has {count} partitions instead of {partitions}: set the number of"
                " partitions of this app to that of its topics; keyed topics never change theirs in place"
            )
    if problems:
        raise TopicMismatch("; ".join(problems))
