"""Reads what stands after a position: whether there is a record at all, how old it is, how many there are.

Committed records only, as the groups read. A few records of each partition are fetched, never the backlog:
behind more than `EXACT` offsets only the oldest record is read, and offsets are counted instead of records.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from connectors.kafka.lag import NOTHING, LogEnds, Place, Position, Unread
from streams.settings import KafkaSettings

EXACT = 500
LIMIT_S = 5.0
_FETCH_BYTES = 128 * 1024


@dataclass(slots=True)
class _Scan:
    position: Position
    end: int
    records: int = 0
    oldest_ms: int | None = None

    @property
    def exact(self) -> bool:
        return self.position.undone(self.end) <= EXACT

    def add(self, message: Message) -> bool:
        """Count a record; whether nothing more has to be read."""
        offset = message.offset()
        assert offset is not None
        if offset >= self.end:
            return True
        if self.position.has(offset):
            return False
        if self.records == 0:
            kind, milliseconds = message.timestamp()
            self.oldest_ms = None if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds
        self.records += 1
        return not self.exact or offset == self.end - 1

    def result(self) -> Unread:
        if self.exact or self.records == 0:
            return Unread(self.records, oldest_ms=self.oldest_ms)
        return Unread(self.position.undone(self.end), False, self.oldest_ms)


class UnreadRecords:
    """One consumer that never joins a group. Not thread-safe. Blocks for LIMIT_S at most."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._consumer: Any = Consumer(_config(kafka))
        self._known: dict[tuple[Place, Position, int], Unread] = {}

    def find(self, positions: Mapping[Place, Position], ends: Mapping[Place, LogEnds]) -> dict[Place, Unread]:
        """What is unread at each place. Where nothing came in time offsets are counted, without an age."""
        found: dict[Place, Unread] = {}
        scans: dict[Place, _Scan] = {}
        for place, position in positions.items():
            end = ends[place].stable
            known = self._known.get((place, position, end))
            if position.undone(end) == 0:
                found[place] = NOTHING
            elif known is not None:
                found[place] = known
            else:
                scans[place] = _Scan(position, end)
        read = self._read(scans)
        for place, scan in scans.items():
            if place in read:
                self._known[place, scan.position, scan.end] = read[place]
            found[place] = read.get(place) or Unread(scan.position.undone(scan.end), exact=False)
        return found

    def forget(self, keep: set[tuple[Place, Position, int]]) -> None:
        """Drop what was remembered of positions and ends that are no longer so."""
        self._known = {key: unread for key, unread in self._known.items() if key in keep}

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _read(self, scans: Mapping[Place, _Scan]) -> dict[Place, Unread]:
        if not scans:
            return {}
        done: dict[Place, Unread] = {}
        deadline = time.monotonic() + LIMIT_S
        self._consumer.assign([TopicPartition(*place, scan.position.offset) for place, scan in scans.items()])
        try:
            while len(done) < len(scans) and (left := deadline - time.monotonic()) > 0:
                for message in self._consumer.consume(EXACT, min(left, 0.05)):
                    place = (str(message.topic()), int(message.partition() or 0))
                    if place not in done and _is_over(message, scans[place]):
                        done[place] = scans[place].result()
                        # Not paused: a pause outlives its assignment.
                        self._consumer.incremental_unassign([TopicPartition(*place)])
        finally:
            self._consumer.unassign()
        return done


def _is_over(message: Message, scan: _Scan) -> bool:
    error = message.error()
    if error is None:
        return scan.add(message)
    if error.fatal():
        raise KafkaException(error)
    return bool(error.code() == KafkaError._PARTITION_EOF)


def _config(kafka: KafkaSettings) -> dict[str, Any]:
    return {
        **kafka.client(),
        # The library wants a name; nothing is ever committed or joined under it.
        "group.id": f"{kafka.topic_prefix}lag",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 20,
        "fetch.message.max.bytes": _FETCH_BYTES,
        "queued.min.messages": EXACT,
        "queued.max.messages.kbytes": 8_192,
        "log_level": 2,
    }
