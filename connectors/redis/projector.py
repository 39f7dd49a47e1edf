"""The projector: every job's state of every tier into Redis, for reading.

Its offsets live beside the jobs and move in the same script. A Redis that lost everything has no offsets
either, which the projector sees within a second: it reads the topics again from their beginning.
"""

from collections.abc import Collection, Sequence
from importlib.resources import files
from typing import Any

import redis
from confluent_kafka import Message

from connectors.consuming.loop import source
from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.positions import Move, Place
from connectors.consuming.target import PositionMovedError, TargetAwayError
from connectors.redis import batch, keys
from connectors.redis.batch import Record
from schemas.errors import DecodeError
from schemas.records import Job, Lifecycle
from schemas.tiers import Tier
from streams.codec import Codec
from streams.log import get
from streams.topics import Topology

log = get(__name__)

GROUP = "sink-redis"
# One batch is one script, during which Redis answers nobody: some milliseconds.
BATCH_RECORDS = 500


def record_types(topology: Topology) -> dict[str, type[Record]]:
    """The topics that go to Redis, and what their records are."""
    lanes = [lane for tier in Tier for lane in topology.lanes(tier)]
    return {**dict.fromkeys(lanes, Job), **dict.fromkeys(map(topology.lifecycle, Tier), Lifecycle)}


class RedisProjector:
    """The target of the projector's consumer."""

    name = "redis"

    def __init__(
        self,
        url: str,
        prefix: str,
        records: dict[str, type[Record]],
        codec: Codec,
        metrics: ConsumingMetrics,
    ) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=5.0, socket_connect_timeout=2.0, client_name="tierflow-projector"
        )
        self._prefix = prefix
        self._offsets = keys.offsets(prefix)
        self._records = records
        self._codec = codec
        self._metrics = metrics
        self._script = self._client.register_script((files(__package__) / "project.lua").read_text())

    def positions(self, places: Collection[Place]) -> dict[Place, int]:
        """The next offset of each partition."""
        asked = list(places)
        try:
            found: Any = self._client.hmget(self._offsets, [_field(*place) for place in asked])
        except redis.RedisError as error:
            raise TargetAwayError(f"Redis: {error}") from error
        return {place: int(offset or 0) for place, offset in zip(asked, found, strict=True)}

    def write(self, messages: Sequence[Message], moves: Sequence[Move]) -> int:
        """Apply the records and move the offsets in one script."""
        records = [record for message in messages if (record := self._decoded(message)) is not None]
        arguments: list[batch.Argument] = [self._prefix, keys.SAMPLES, len(moves)]
        for move in moves:
            arguments += (_field(move.topic, move.partition), move.expected, move.next)
        arguments += batch.arguments(records)
        try:
            applied = self._script(keys=[self._offsets], args=arguments)
        except redis.RedisError as error:
            raise TargetAwayError(f"Redis: {error}") from error
        if not applied:
            raise PositionMovedError("the offsets in Redis are not the expected ones")
        return len(records)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _decoded(self, message: Message) -> Record | None:
        """The record, or None: what does not decode is reported by the worker (or the sink) that reads it."""
        value = message.value()
        if not isinstance(value, bytes):
            return None
        (topic, partition), offset = source(message)
        try:
            record = self._codec.decode(self._records[topic], value)
            keys.keep_ms(record.tier)
        except (DecodeError, ValueError) as error:
            self._metrics.poison.labels(self.name).inc()
            log.warning("record skipped", topic=topic, partition=partition, offset=offset, reason=str(error))
            return None
        return record


def _field(topic: str, partition: int) -> str:
    return f"{topic}|{partition}"
