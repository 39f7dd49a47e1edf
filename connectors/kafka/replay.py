"""Copies records from one topic to another, each exactly once, however often it is stopped and resumed.

What was copied and how far it came are one Kafka transaction: the cursor is the committed offsets of a
consumer group of the replay's own, with the plan as their metadata. The transactional id is the replay's too,
so resuming it ends whoever still runs it.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from confluent_kafka import KafkaException, Message, Producer, TopicPartition

from connectors.kafka.reading import Reader, Span
from schemas.errors import ConfigError, UnavailableError
from streams.acknowledgement import ONE_REQUEST
from streams.settings import KafkaSettings

_COMMIT_S = 1.0
_COMMIT_RECORDS = 50_000
_TIMEOUT_S = 30.0
_HEADER = "replayed-from"


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a replay does; kept with its cursor, so that resuming needs the replay's name only."""

    source: str
    target: str
    document: str | None = None
    tenant: str | None = None
    job: str | None = None
    type: str | None = None
    same_partition: bool = False
    keep_time: bool = False


class _Mark(msgspec.Struct, frozen=True):
    """The metadata of one partition's cursor."""

    plan: Plan
    end: int


@dataclass(slots=True)
class Copied:
    """What a run of a replay did."""

    read: int = 0
    written: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it runs."""
        return time.monotonic() - self.began


class Cursor:
    """How far a replay of a name came, at the brokers."""

    def __init__(self, kafka: KafkaSettings, name: str) -> None:
        self.name = name
        self.group = f"{kafka.topic_prefix}replay-{name}"
        self.reader = Reader(kafka, self.group)
        self.producer = Producer(
            {
                **kafka.client(),
                **ONE_REQUEST,
                "transactional.id": self.group,
                "transaction.timeout.ms": 60_000,
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": 20,
                "queue.buffering.max.messages": 200_000,
                "queue.buffering.max.kbytes": 262_144,
                "log_level": 2,
            }
        )

    def __enter__(self) -> "Cursor":
        """Take the replay over: whoever ran it is fenced off, and what he left open is undone."""
        try:
            self.producer.init_transactions(_TIMEOUT_S)
        except KafkaException as error:
            self.reader.consumer.close()
            raise UnavailableError(f"Kafka does not open a transaction: {error.args[0].str()}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self.producer.purge()
        self.reader.consumer.close()

    def start(self, plan: Plan, spans: Sequence[Span]) -> None:
        """Note a new replay."""
        self.producer.begin_transaction()
        self.commit(plan, {span.partition: (span.start, span.end) for span in spans})

    def found(self, source: str) -> tuple[Plan, list[Span]]:
        """The plan and what is left of a replay; ConfigError when there is none of this name."""
        asked = [TopicPartition(source, number) for number in self.reader.partitions(source)]
        try:
            known = self.reader.consumer.committed(asked, timeout=_TIMEOUT_S)
        except KafkaException as error:
            raise UnavailableError(f"Kafka does not tell the cursor: {error.args[0].str()}") from error
        marks = {one.partition: (one.offset, _mark(one.metadata)) for one in known if one.offset >= 0}
        if not marks:
            raise ConfigError(f"there is no replay {self.name} of {source}, or its cursor has expired")
        plan = next(iter(marks.values()))[1].plan
        return plan, [Span(source, number, offset, mark.end) for number, (offset, mark) in marks.items()]

    def commit(self, plan: Plan, cursors: dict[int, tuple[int, int]]) -> None:
        """End the open transaction with partition -> (next offset, end). UnavailableError: run it again."""
        moved = [
            TopicPartition(plan.source, number, offset, msgspec.json.encode(_Mark(plan, end)).decode())
            for number, (offset, end) in cursors.items()
        ]
        try:
            self.producer.send_offsets_to_transaction(
                moved, self.reader.consumer.consumer_group_metadata(), _TIMEOUT_S
            )
            self.producer.commit_transaction(_TIMEOUT_S)
        except KafkaException as error:
            raise UnavailableError(
                f"Kafka did not commit: {error.args[0].str()}; go on with --resume {self.name}"
            ) from error


def copy(
    cursor: Cursor,
    plan: Plan,
    left: Sequence[Span],
    narrowed: Iterable[Span],
    matches: Callable[[bytes | None], bool] | None,
    rate: float | None = None,
    progress: Callable[[dict[int, int], Copied], None] = lambda _, __: None,
) -> Copied:
    """Copy what of `left` lies in `narrowed` and matches; returns when every span is at its end. Blocks."""
    done, ends = Copied(), {span.partition: span.end for span in left}
    moved: dict[int, int] = {}
    producer = cursor.producer
    producer.begin_transaction()
    committed_at, uncommitted = time.monotonic(), 0
    batch_records = max(1, min(5_000, int(rate / 10))) if rate else 5_000
    for batch in cursor.reader.read(narrowed, batch_records):
        for message in batch:
            if matches is None or matches(_bytes(message.value())):
                _produce(producer, plan, message)
                done.written += 1
                uncommitted += 1
            moved[message.partition() or 0] = (message.offset() or 0) + 1
        done.read += len(batch)
        producer.poll(0)
        if moved and (uncommitted >= _COMMIT_RECORDS or time.monotonic() - committed_at > _COMMIT_S):
            cursor.commit(plan, {number: (offset, ends[number]) for number, offset in moved.items()})
            moved = {}
            producer.begin_transaction()
            committed_at, uncommitted = time.monotonic(), 0
        progress(moved, done)
        if rate and (ahead := done.written / rate - done.seconds) > 0:
            time.sleep(min(ahead, _COMMIT_S))
    cursor.commit(plan, {number: (end, end) for number, end in ends.items()})
    return done


def _produce(producer: Any, plan: Plan, message: Message) -> None:
    partition = message.partition() or 0
    headers: list[tuple[str, Any]] = [
        *(message.headers() or ()),
        (_HEADER, f"{plan.source}/{partition}/{message.offset()}".encode()),
    ]
    placed = {"partition": partition} if plan.same_partition else {}
    if plan.keep_time:
        placed["timestamp"] = max(0, message.timestamp()[1])
    while True:
        try:
            producer.produce(plan.target, message.value(), message.key(), headers=headers, **placed)
        except BufferError:
            producer.poll(0.1)
        except KafkaException as error:
            raise UnavailableError(f"Kafka does not take the record: {error.args[0].str()}") from error
        else:
            return


def _mark(metadata: str | None) -> _Mark:
    try:
        return msgspec.json.decode(metadata or "", type=_Mark)
    except msgspec.DecodeError as error:
        raise ConfigError("the offsets of this group are not those of a replay") from error


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
