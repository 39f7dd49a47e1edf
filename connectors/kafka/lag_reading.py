"""Lag as the brokers tell it: committed offsets, log ends, and the oldest unread record of each partition.

Asks no process of ours, so it is right when every one of them is dead.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from connectors.kafka.committed import CommittedPositions
from connectors.kafka.lag import LogEnds, PartitionLag, Place, Position, partition_lag, start_of
from connectors.kafka.readers import Reader
from connectors.kafka.unread import UnreadRecords
from schemas.errors import UnavailableError
from streams.log import get
from streams.settings import KafkaSettings

log = get(__name__)

TIMEOUT_S = 10.0
Kept = Mapping[str, Callable[[], Mapping[Place, int]]]
"""Per store the positions that it keeps; raises UnavailableError when it does not answer."""


class LagReading:
    """Reads the lag of groups again and again. Not thread-safe. Blocks for seconds at most."""

    def __init__(
        self,
        kafka: KafkaSettings,
        kept: Kept,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._admin = AdminClient({**kafka.client(), "socket.timeout.ms": 10_000, "log_level": 2})
        self._committed = CommittedPositions(kafka)
        self._unread = UnreadRecords(kafka)
        self._kept = kept
        self._now_ms = now_ms

    def read(self, readers: Sequence[Reader]) -> list[PartitionLag]:
        """The lag of every partition of the readers' topics. UnavailableError without a broker."""
        try:
            return self._read(readers)
        except KafkaException as error:
            raise UnavailableError(f"Kafka does not answer: {error.args[0].str()}") from error

    def foreign(self, group: str) -> Reader:
        """Any other group, with the topics that it has committed offsets in."""
        try:
            every = [(topic, p) for topic, count in self._partitions().items() for p in range(count)]
            topics = {topic for topic, _ in self._committed.of(group, every)}
        except KafkaException as error:
            raise UnavailableError(f"Kafka does not tell of {group}: {error.args[0].str()}") from error
        return Reader(group, tuple(sorted(topics)))

    def members(self, groups: Sequence[str]) -> dict[str, int]:
        """How many members each group has now. UnavailableError without a broker."""
        answers = self._admin.describe_consumer_groups(list(groups), request_timeout=TIMEOUT_S)
        try:
            return {group: len(_result(answer).members) for group, answer in answers.items()}
        except KafkaException as error:
            raise UnavailableError(f"Kafka does not tell its groups: {error.args[0].str()}") from error

    def close(self) -> None:
        """Close the consumers."""
        self._unread.close()
        self._committed.close()

    def _read(self, readers: Sequence[Reader]) -> list[PartitionLag]:
        counts = self._partitions()
        places = {
            reader.group: [(t, p) for t in reader.topics for p in range(counts.get(t, 0))]
            for reader in readers
        }
        # Positions first: an end that is older than a position would hide lag, the other way round not.
        positions = {reader.group: self._positions(reader, places[reader.group]) for reader in readers}
        ends = self._ends(sorted({place for of_group in places.values() for place in of_group}))
        found: list[PartitionLag] = []
        seen: set[tuple[Place, Position, int]] = set()
        for reader in readers:
            of_group, kept_in = positions[reader.group]
            known = [place for place in places[reader.group] if place in ends]
            starts = {place: start_of(of_group.get(place), ends[place]) for place in known}
            unread = self._unread.find(starts, ends)
            now = self._now_ms()
            found += [
                partition_lag(
                    reader.group, place, of_group.get(place), ends[place], unread[place], now, kept_in
                )
                for place in known
            ]
            seen |= {(place, start, ends[place].stable) for place, start in starts.items()}
        self._unread.forget(seen)
        return found

    def _partitions(self) -> dict[str, int]:
        return {
            name: len(topic.partitions)
            for name, topic in self._admin.list_topics(timeout=TIMEOUT_S).topics.items()
        }

    def _positions(self, reader: Reader, places: Sequence[Place]) -> tuple[dict[Place, Position], str]:
        """The positions, and what told them. A store that is away is stood in for by the group's commits."""
        if reader.kept_in is not None and reader.kept_in in self._kept:
            try:
                kept = self._kept[reader.kept_in]()
            except UnavailableError as error:
                log.warning("positions of the group instead", store=reader.kept_in, reason=str(error))
            else:
                return {place: Position(offset) for place, offset in kept.items()}, reader.kept_in
        return self._committed.of(reader.group, places), "group"

    def _ends(self, places: Sequence[Place]) -> dict[Place, LogEnds]:
        """Where the logs begin and end; a partition without a leader is left out."""
        if not places:
            return {}
        first, last = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]
        start = self._offsets(places, first, IsolationLevel.READ_UNCOMMITTED)
        stable = self._offsets(places, last, IsolationLevel.READ_COMMITTED)
        end = self._offsets(places, last, IsolationLevel.READ_UNCOMMITTED)
        return {
            place: LogEnds(start[place], stable[place], max(stable[place], end[place]))
            for place in places
            if place in start and place in stable and place in end
        }

    def _offsets(
        self, places: Sequence[Place], which: OffsetSpec, isolation: IsolationLevel
    ) -> dict[Place, int]:
        asked = {TopicPartition(*place): which for place in places}
        answers = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=TIMEOUT_S)
        found: dict[Place, int] = {}
        for one, answer in answers.items():
            try:
                found[one.topic, one.partition] = _result(answer).offset
            except KafkaException as error:
                log.warning("no log ends", topic=one.topic, partition=one.partition, reason=str(error))
        return found


def _result(answer: "Future[Any]") -> Any:
    return answer.result(TIMEOUT_S + 1)
