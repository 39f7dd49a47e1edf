"""The consumers of a sink in a real group."""

import secrets
import threading
from collections.abc import Collection, Sequence

from confluent_kafka import Message
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from prometheus_client import CollectorRegistry

from connectors.consuming.loop import Consuming
from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.positions import Move, Place
from connectors.consuming.settings import consumer_config
from streams.settings import KafkaSettings
from tests.integration.connectors.sinking import await_true
from tests.topics import await_known


class Nowhere:
    """A target that takes everything and begins at the beginning."""

    name = "postgres"

    def positions(self, places: Collection[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, 0)

    def write(self, messages: Sequence[Message], moves: Sequence[Move]) -> int:
        return len(messages)

    def close(self) -> None:
        """Nothing is open."""


def test_who_finds_all_partitions_given_away_is_ready_all_the_same(kafka_bootstrap: str) -> None:
    kafka = KafkaSettings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap})
    topic = f"ready-{secrets.token_hex(4)}"
    admin = AdminClient(kafka.client())
    for created in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        created.result()
    await_known(admin, [topic])
    metrics = ConsumingMetrics(CollectorRegistry())
    members = [
        Consuming(consumer_config(kafka, topic, f"member-{number}"), [topic], Nowhere(), metrics)
        for number in range(2)
    ]
    threads = [threading.Thread(target=member.run) for member in members]
    assert not any(member.ready for member in members)
    for thread in threads:
        thread.start()
    try:
        await_true(lambda: all(member.ready for member in members), "both are ready")
    finally:
        for member, thread in zip(members, threads, strict=True):
            member.stop()
            thread.join(60)
