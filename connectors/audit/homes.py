"""Where jobs that have not ended are: before their worker, in its table or nowhere; as the brokers tell."""

from collections.abc import Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.audit.books import Place
from connectors.audit.judge import Home, Where
from connectors.kafka.reading import Reader, Span
from schemas.errors import UnavailableError
from schemas.tiers import Tier
from streams.settings import KafkaSettings
from streams.topics import Topology
from streams.transport import offset_metadata

_TIMEOUT_S = 15.0
# A parked job's key: 16 bytes of its ordering key, its lane, the offset of its record in that lane.
_KEY_BYTES = 25


class Done:
    """What a consumer group has completed: below its offsets, and beyond them by the bitmap."""

    def __init__(self, found: Iterable[TopicPartition]) -> None:
        self._places = {
            (one.topic, one.partition): (one.offset, offset_metadata.decode(one.metadata))
            for one in found
            if one.offset >= 0
        }

    def has(self, where: Where) -> bool:
        """Whether the group has completed this offset."""
        base, mask = self._places.get(where[:2], (0, 0))
        offset = where[2]
        return offset < base or bool(mask >> (offset - base) & 1)


def done_by(kafka: KafkaSettings, group: str, topics: Iterable[str]) -> Done:
    """What a group has committed; it is asked about, not joined."""
    consumer: Any = Consumer({**kafka.client(), "group.id": group, "log_level": 2})
    try:
        places = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions
        ]
        return Done(consumer.committed(places, timeout=_TIMEOUT_S))
    except KafkaException as error:
        raise UnavailableError(f"Kafka does not tell of {group}: {error.args[0].str()}") from error
    finally:
        consumer.close()


class Parked:
    """The records that stand in a tier's table of parked jobs, kept up to date from its changelog."""

    def __init__(self, topology: Topology, tier: Tier) -> None:
        self._topic, self._lanes = topology.retry(tier), topology.lanes(tier)
        self._standing: set[tuple[int, bytes]] = set()
        self._next: dict[Place, int] = {}

    def catch_up(self, reader: Reader) -> None:
        """Read what is new, keys only."""
        spans = []
        for span in reader.spans(self._topic):
            place = (span.topic, span.partition)
            start = max(span.start, self._next.get(place, 0))
            self._next[place] = max(span.end, start)
            spans.append(Span(*place, start, span.end))
        for batch in reader.read(spans):
            for message in batch:
                key = message.key()
                if isinstance(key, bytes) and len(key) == _KEY_BYTES:
                    entry = (message.partition() or 0, key[16:])
                    (self._standing.discard if message.value() is None else self._standing.add)(entry)

    def has(self, where: Where) -> bool:
        """Whether the job of this tier record is parked."""
        topic, partition, offset = where
        lane = self._lanes.index(topic)
        return (partition, lane.to_bytes(1, "big") + offset.to_bytes(8, "big")) in self._standing


class Homes:
    """Where tier records are. Ask the groups first, then the tables, then read the topics: in this order a
    record that was completed has what it was completed with before our eyes."""

    def __init__(self, kafka: KafkaSettings, topology: Topology) -> None:
        self._kafka, self._topology = kafka, topology
        self._parked = {tier: Parked(topology, tier) for tier in Tier}
        self._done: dict[Tier, Done] = {}
        self._router: Done

    def look(self, reader: Reader) -> None:
        """As it is now."""
        prefix, topology = self._topology.prefix, self._topology
        for tier in Tier:
            self._done[tier] = done_by(self._kafka, f"{prefix}worker-{tier.value}", topology.lanes(tier))
        ingress = (topology.events, topology.job_requests)
        self._router = done_by(self._kafka, f"{prefix}router", ingress)
        for parked in self._parked.values():
            parked.catch_up(reader)

    def of(self, tier: Tier, where: Where) -> Home:
        """Where a tier record is."""
        if self._parked[tier].has(where):
            return "parked"
        return "done" if self._done[tier].has(where) else "lane"

    def passed(self, where: Where) -> bool:
        """Whether the router has passed a record that came in."""
        return self._router.has(where)
