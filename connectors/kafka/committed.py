"""The positions that groups committed, asked from outside: one handle per group that never joins it.

The admin API has a call for this, but in librdkafka 2.16 it ends the process with SIGSEGV when the answer is
NOT_COORDINATOR, as while a broker starts (confluent-kafka-javascript #374).
"""

from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from connectors.kafka.lag import Place, Position
from streams.settings import KafkaSettings
from streams.transport import offset_metadata

TIMEOUT_S = 10.0


class CommittedPositions:
    """Keeps a handle per group. Not thread-safe. Raises KafkaException when the group's broker is silent."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._handles: dict[str, Any] = {}

    def of(self, group: str, places: Sequence[Place]) -> dict[Place, Position]:
        """The positions of a group at those of the places where it has one."""
        if not places:
            return {}
        asked = [TopicPartition(*place) for place in places]
        return {
            (one.topic, one.partition): Position(one.offset, offset_metadata.decode(one.metadata))
            for one in self._handle(group).committed(asked, TIMEOUT_S)
            if one.offset >= 0
        }

    def close(self) -> None:
        """Close the handles."""
        for handle in self._handles.values():
            handle.close()
        self._handles.clear()

    def _handle(self, group: str) -> Any:
        if group not in self._handles:
            self._handles[group] = Consumer(
                {
                    **self._kafka.client(),
                    "group.id": group,
                    "enable.auto.commit": False,
                    # Read committed would wait for every transaction that is under way.
                    "isolation.level": "read_uncommitted",
                    "log_level": 2,
                }
            )
        return self._handles[group]
