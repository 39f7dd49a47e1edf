"""Parts of topics read from a fixed start to a fixed end, outside of any group.

Ends are those of committed records at the moment they were asked for, so that a reader that writes into the
topic it reads comes to an end.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import ConfigError, UnavailableError
from streams.settings import KafkaSettings

BATCH_RECORDS = 5_000
_POLL_S = 0.05
_TIMEOUT_S = 15.0
_STUCK_S = 60.0


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets of one partition from `start` to before `end`."""

    topic: str
    partition: int
    start: int
    end: int

    def __len__(self) -> int:
        return max(0, self.end - self.start)


@dataclass(frozen=True, slots=True)
class Bound:
    """Where to begin or to end: an offset, or a time in ms since the epoch. Neither: the log's own end."""

    offset: int | None = None
    at: int | None = None


EDGE = Bound()


class Reader:
    """Reads spans through a consumer of its own. A context manager; used by one thread."""

    def __init__(self, kafka: KafkaSettings, group: str = "tierflow-reader", **extra: Any) -> None:
        self.consumer: Any = Consumer(
            {
                **kafka.client(),
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 32_768,
                "check.crcs": True,
                "log_level": 2,
                **extra,
            }
        )

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.consumer.close()

    def partitions(self, topic: str) -> list[int]:
        """The partitions of a topic. ConfigError when there is none of that name."""
        try:
            found = self.consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        except KafkaException as error:
            raise _unavailable(error) from error
        if found.error is not None:
            if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise ConfigError(f"there is no topic {topic}")
            raise UnavailableError(f"topic {topic}: {found.error.str()}")
        return sorted(found.partitions)

    def spans(
        self, topic: str, start: Bound = EDGE, end: Bound = EDGE, among: Collection[int] | None = None
    ) -> list[Span]:
        """What lies between two bounds in each partition (or in those `among`), as the log is now."""
        partitions = [number for number in self.partitions(topic) if among is None or number in among]
        edges = {number: self._edges(topic, number) for number in partitions}
        starts = self._offsets(topic, start, {number: low for number, (low, _) in edges.items()})
        ends = self._offsets(topic, end, {number: high for number, (_, high) in edges.items()})
        spans = []
        for number, (low, high) in edges.items():
            last = min(high, ends[number]) if ends[number] >= 0 else high
            first = max(low, starts[number]) if starts[number] >= 0 else high
            spans.append(Span(topic, number, min(first, last), last))
        return spans

    def read(self, spans: Iterable[Span], batch_records: int = BATCH_RECORDS) -> Iterator[list[Message]]:
        """The committed records of the spans in batches, in order within each partition.

        An empty batch comes when nothing arrived for a moment. Spans of one partition are read one after the
        other. UnavailableError when nothing comes for a minute.
        """
        waiting: dict[tuple[str, int], list[Span]] = {}
        for span in sorted(spans, key=lambda one: one.start, reverse=True):
            if len(span):
                waiting.setdefault((span.topic, span.partition), []).append(span)
        while waiting:
            # One of each partition at once; the lowest stand last in the lists.
            yield from self._round([of_partition.pop() for of_partition in waiting.values()], batch_records)
            waiting = {place: left for place, left in waiting.items() if left}

    def _round(self, spans: list[Span], batch_records: int) -> Iterator[list[Message]]:
        ends = {(span.topic, span.partition): span.end for span in spans}
        self.consumer.assign([TopicPartition(span.topic, span.partition, span.start) for span in spans])
        heard, left = time.monotonic(), sum(map(len, spans))
        while ends:
            # Waiting for more than there is would cost the whole time-out; markers count as records here.
            batch = self.consumer.consume(max(1, min(batch_records, left)), _POLL_S)
            if batch:
                heard = time.monotonic()
            elif time.monotonic() - heard > _STUCK_S:
                raise UnavailableError(f"Kafka sent nothing for {_STUCK_S:.0f} s")
            done, found = _sorted_out(batch, ends)
            for place in done:
                del ends[place]
                self.consumer.incremental_unassign([TopicPartition(*place)])
            left -= len(found)
            yield found

    def _edges(self, topic: str, partition: int) -> tuple[int, int]:
        try:
            low, high = self.consumer.get_watermark_offsets(TopicPartition(topic, partition), _TIMEOUT_S)
        except KafkaException as error:
            raise _unavailable(error) from error
        return low, high

    def _offsets(self, topic: str, bound: Bound, edges: Mapping[int, int]) -> dict[int, int]:
        """The offset of a bound in each partition; below 0: after the last record."""
        if bound.offset is not None:
            return dict.fromkeys(edges, bound.offset)
        if bound.at is None:
            return dict(edges)
        asked = [TopicPartition(topic, number, bound.at) for number in edges]
        try:
            found = self.consumer.offsets_for_times(asked, timeout=_TIMEOUT_S)
        except KafkaException as error:
            raise _unavailable(error) from error
        return {one.partition: one.offset for one in found}


def _sorted_out(
    batch: list[Message], ends: Mapping[tuple[str, int], int]
) -> tuple[set[tuple[str, int]], list[Message]]:
    """Which spans came to their end with a batch, and the records that lie within."""
    done: set[tuple[str, int]] = set()
    found = []
    for message in batch:
        place, offset = (str(message.topic()), int(message.partition() or 0)), message.offset() or 0
        end = ends.get(place)
        if end is None:
            continue
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                if error.fatal() or not error.retriable():
                    raise UnavailableError(f"{place[0]}-{place[1]} cannot be read: {error.str()}")
            elif offset >= end:
                done.add(place)
            continue
        if offset < end:
            found.append(message)
        if offset >= end - 1:
            done.add(place)
    return done, found


def _unavailable(error: KafkaException) -> UnavailableError:
    return UnavailableError(f"Kafka does not answer: {error.args[0].str()}")
