"""The librdkafka settings of a consumer whose target keeps the offsets."""

from typing import Any

from streams.settings import KafkaSettings


def consumer_config(kafka: KafkaSettings, group: str, client_id: str) -> dict[str, Any]:
    """Committed records only; the group's offsets are written for those who watch lag, never read."""
    protocol = (
        # Range puts partition p of all topics on one member: two members seldom write the same job's row.
        {"group.protocol": "consumer", "group.remote.assignor": "range"}
        if kafka.group_protocol == "consumer"
        else {"partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 10_000}
    )
    return {
        **kafka.client(),
        **protocol,
        "group.id": group,
        "client.id": client_id,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "topic.metadata.refresh.interval.ms": 30_000,
        "fetch.wait.max.ms": 100,
        "fetch.queue.backoff.ms": 50,
        "queued.max.messages.kbytes": 16_384,
        "queued.min.messages": 20_000,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2_000,
        # Its lines about lost connections come by the hundred.
        "log_level": 2,
    }
