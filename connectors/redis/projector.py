"""The projector: every job's state of every tier into Redis, for reading.

Its offsets live beside the jobs and move in the same script. A Redis that lost everything has no offsets
either, which the projector sees within a second: it reads the topics again from their beginning.
"""

import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.resources import files
from typing import Any

import redis
from confluent_kafka import Message

from connectors.consuming.incarnations import Incarnations
from connectors.consuming.loop import source
from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.positions import Move, Place
from connectors.consuming.target import PositionMovedError, TargetAwayError
from connectors.redis import batch, keys
from connectors.redis.parts import JobPart, LifecyclePart, Part
from schemas.commands import CONTROL_QUEUE
from schemas.errors import DecodeError
from schemas.records import Job, Lifecycle
from schemas.tiers import Tier
from streams.codec import Codec
from streams.log import get
from streams.parts import PartReader
from streams.topics import Topology

log = get(__name__)

GROUP = "sink-redis"
# One batch is one script, during which Redis answers nobody: some milliseconds. It is one argument, too: of
# the largest records 475 MB, of the 512 that Redis takes.
BATCH_RECORDS = 500


Record = Job | Lifecycle
Read = Callable[[bytes], tuple[Part, bytes]]


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
        incarnations: Incarnations | None = None,
    ) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=5.0, socket_connect_timeout=2.0, client_name="tierflow-projector"
        )
        self._prefix = prefix
        self._offsets = keys.offsets(prefix)
        jobs = PartReader(codec, Job, JobPart)
        lifecycles = PartReader(codec, Lifecycle, LifecyclePart)
        self._read: dict[str, Read] = {
            topic: jobs.read if record is Job else lifecycles.read for topic, record in records.items()
        }
        self._incarnations = incarnations
        self._metrics = metrics
        self._script = self._client.register_script((files(__package__) / "project.lua").read_text())

    def positions(self, places: Collection[Place]) -> dict[Place, int]:
        """The next offset of each partition."""
        asked = list(places)
        try:
            if self._incarnations is not None:
                self._renew(self._incarnations.of({topic for topic, _ in asked}))
            found: Any = self._client.hmget(self._offsets, [batch.place_field(*place) for place in asked])
        except redis.RedisError as error:
            raise TargetAwayError(f"Redis: {error}") from error
        return {place: int(offset or 0) for place, offset in zip(asked, found, strict=True)}

    def write(self, messages: Sequence[Message], moves: Sequence[Move]) -> int:
        """Apply the records and move the offsets in one script."""
        gained = batch.Batch()
        count = 0
        for message in messages:
            count += self._add(gained, message)
        arguments = batch.arguments(self._prefix, moves, gained)
        try:
            applied = self._script(keys=[self._offsets], args=arguments)
        except redis.RedisError as error:
            raise TargetAwayError(f"Redis: {error}") from error
        if not applied:
            raise PositionMovedError("the offsets in Redis are not the expected ones")
        return count

    def _renew(self, ids: Mapping[str, str]) -> None:
        """Forget the offsets of topics that are other ones than those they were written for."""
        if not ids:
            return
        known: Any = self._client.hmget(self._offsets, [f"id:{topic}" for topic in ids])
        for (topic, now), before in zip(ids.items(), known, strict=True):
            if before == now.encode():
                continue
            gone = []
            if before is not None:
                log.warning("another incarnation of the topic, reading it anew", topic=topic)
                names: Any = self._client.hkeys(self._offsets)
                gone = [name for name in names if name.startswith(f"{topic}|".encode())]
            with self._client.pipeline(transaction=True) as change:
                if gone:
                    change.hdel(self._offsets, *gone)
                change.hset(self._offsets, f"id:{topic}", now)
                change.execute()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _add(self, gained: batch.Batch, message: Message) -> bool:
        """Take a record in, unless it is a command: that is no job.

        What does not decode is skipped: the worker (or the sink) reports it.
        """
        value, topic = message.value(), message.topic()
        if not isinstance(value, bytes) or topic is None:
            return False
        try:
            part, content = self._read[topic](value)
            if part.queue == CONTROL_QUEUE and isinstance(part, JobPart):
                return False
            gained.add(part, content)
        except (DecodeError, ValueError, struct.error) as error:
            (_, partition), offset = source(message)
            self._metrics.poison.labels(self.name).inc()
            log.warning("record skipped", topic=topic, partition=partition, offset=offset, reason=str(error))
            return False
        return True
