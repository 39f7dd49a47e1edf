"""The jobs of the benchmark: no-op jobs with 150 bytes of data, over many conversations, and their end."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from connectors.kafka.producer import client_config
from ops.bench import offsets
from schemas.job_type import Queue, job_type
from schemas.payloads.messages import ChatMessage
from schemas.records import JobOptions, JobRequest, Lifecycle
from schemas.states import TERMINAL
from schemas.tiers import Tier
from streams.codec import Codec
from streams.settings import KafkaSettings

QUEUE, KIND = "chat_messages", "chat-message"
CONVERSATIONS = 1_000
DATA_BYTES = 150
SHORT_S = 0.01
# Of the tier whose jobs have rows in Postgres: no provider's limit, no check-in, in order as chat messages.
ROW = job_type("bench-row", ChatMessage, Queue("bench-rows", Tier.CRITICAL), order="{conversationId}")


@dataclass(frozen=True)
class Requests:
    """Encoded job requests, ready to be produced."""

    ids: frozenset[str]
    records: list[tuple[bytes, bytes]]
    keys: dict[str, int]
    """Job id -> the number of its conversation; in the order of their making."""


def requests(
    count: int, codec: Codec, *, row: bool = False, keys: int = CONVERSATIONS,
    priorities: Sequence[int | None] = (None,), named: str = "conversation",
) -> Requests:  # fmt: skip
    """`count` jobs that a direct producer would write; encoded before any clock runs.

    Over `keys` ordering keys that begin as `named`, with these priorities in turn. Of tier 2, or 1 when they
    are to leave a `row`.
    """
    queue, kind = (ROW.queue, ROW.kind) if row else (QUEUE, KIND)
    options = [JobOptions(priority=priority) for priority in priorities]
    now, made = time.time_ns() // 1_000_000, []
    ids = [str(uuid.uuid4()) for _ in range(count)]
    for number, job_id in enumerate(ids):
        conversation = f"{named}-{number % keys:04d}"
        data = {"userId": f"user-{number % 97:03d}", "conversationId": conversation, "message": ""}
        data["message"] = "x" * (DATA_BYTES - len(msgspec.json.encode(data)))
        text, asked = msgspec.json.encode(data).decode(), options[number % len(options)]
        request = JobRequest(job_id, queue, kind, text, now, asked)
        made.append((conversation.encode(), codec.encode(request)))
    return Requests(frozenset(ids), made, {job_id: number % keys for number, job_id in enumerate(ids)})


def connect(kafka: KafkaSettings) -> Producer:
    """A client that writes. Its first record takes half a second, while it gets its id from the broker."""
    return Producer({**client_config(kafka), "linger.ms": 5, "delivery.timeout.ms": 60_000})


def produce(producer: Producer, topic: str, records: list[tuple[bytes, bytes]]) -> float:
    """Write the records as fast as the broker takes them; the moment the last was acknowledged. Blocks."""
    for number, (key, value) in enumerate(records):
        producer.produce(topic, value, key)
        if number % 1_000 == 0:
            producer.poll(0)
            while len(producer) > 50_000:
                producer.poll(0.05)
    left = producer.flush(60)
    if left:
        raise RuntimeError(f"{left} job requests were not acknowledged")
    return time.monotonic()


@dataclass
class Drain:
    """Reads a lifecycle topic from its present end on until every job has ended."""

    consumer: Consumer
    values: list[bytes] = field(default_factory=list)
    pace: list[tuple[float, int]] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    """Partition -> the offset after the last record that was read (a marker may follow)."""

    @classmethod
    def begin(cls, bootstrap: str, group: str, topic: str, partitions: int) -> "Drain":
        """Stand at the end of the topic."""
        consumer = offsets.reader(bootstrap, group)
        places = [TopicPartition(topic, partition) for partition in range(partitions)]
        for place in places:
            place.offset = offsets.end(consumer, place)
        consumer.assign(places)
        return cls(consumer)

    def until_ended(self, ids: frozenset[str], codec: Codec, limit_s: float) -> float:
        """The moment the last of the jobs was seen to have ended; RuntimeError past the limit. Blocks.

        Records are kept undecoded until there are enough of them: the reader shares the cores with what it
        measures.
        """
        deadline = time.monotonic() + limit_s
        ended: set[str] = set()
        decoded = 0
        while not ids <= ended:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{len(ids - ended)} of {len(ids)} jobs had not ended after {limit_s:.0f} s"
                )
            self._read()
            if len(self.values) >= len(ids):
                ended |= {job for value in self.values[decoded:] if (job := _ended(codec, value))}
                decoded = len(self.values)
        return self.pace[-1][0]

    def _read(self) -> None:
        messages = [m for m in self.consumer.consume(5_000, 0.05) if m.error() is None]
        if messages:
            self.values += [message.value() or b"" for message in messages]
            self.ends |= {m.partition() or 0: (m.offset() or 0) + 1 for m in messages}
            self.pace.append((time.monotonic(), len(self.values)))

    def out_of_order(self, keys: dict[str, int], codec: Codec) -> int:
        """How many jobs ended before one of their key that was produced earlier."""
        place = {job_id: number for number, job_id in enumerate(keys)}
        latest: dict[int, int] = {}
        wrong = 0
        for value in self.values:
            job_id = _ended(codec, value)
            if job_id in place:
                wrong += place[job_id] < latest.get(keys[job_id], -1)
                latest[keys[job_id]] = max(place[job_id], latest.get(keys[job_id], -1))
        return wrong

    def close(self) -> None:
        """Let go of the consumer."""
        self.consumer.close()


def _ended(codec: Codec, value: bytes) -> str | None:
    record = codec.decode(Lifecycle, value)
    return record.job_id if record.transitions[-1].to_state in TERMINAL else None


def steady_rate(pace: list[tuple[float, int]]) -> float:
    """Jobs per second between the first tenth and the last tenth of a drain."""
    total = pace[-1][1]
    inside = [(at, seen) for at, seen in pace if 0.1 * total <= seen <= 0.9 * total]
    if len(inside) < 2 or inside[-1][0] <= inside[0][0]:
        return 0.0
    return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])
