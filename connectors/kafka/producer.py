"""An asyncio face on librdkafka's producer: a send returns when the brokers have acknowledged the record.

One thread serves the delivery reports; the event loop hears of a burst of them in one call. (AIOProducer of
confluent-kafka batches in Python, takes no headers and is a third as fast.)
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from connectors.kafka.transaction import TransactionalBatch
from schemas.errors import ContractError, UnavailableError
from streams.acknowledgement import refusal, retire, serve
from streams.log import get
from streams.settings import KafkaSettings

log = get(__name__)

# Shorter than the five seconds an HTTP client waits: it hears 503 instead of hanging up.
DELIVERY_TIMEOUT_MS = 4_000
PROBE_TIMEOUT_S = 2.0
_POLL_S = 0.1
_RETRY_AFTER_S = 2.0

Report = tuple["asyncio.Future[None]", KafkaError | None]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way to Kafka."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Mapping[str, bytes] = field(default_factory=dict)


def client_config(kafka: KafkaSettings) -> dict[str, Any]:
    """Every in-sync replica acknowledges, a retry is never written twice, the partitioner is the Java one."""
    return {
        **kafka.client(),
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "linger.ms": 1,
        "compression.type": "lz4",
        "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
        "request.timeout.ms": 3_000,
        # What the brokers take by default; librdkafka's own default is a little less.
        "message.max.bytes": 1_048_588,
        "retry.backoff.ms": 20,
        "retry.backoff.max.ms": 500,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 500,
        "topic.metadata.propagation.max.ms": 2_000,
        # Its lines about lost connections come by the hundred; an error reaches whoever sends.
        "log_level": 2,
    }


class Producer:
    """Sends records from the event loop that called `start`."""

    def __init__(self, kafka: KafkaSettings, instance: str) -> None:
        self._config = client_config(kafka)
        self._batch = TransactionalBatch({**self._config, "transactional.id": f"{instance}-batch"})
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._warming: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._serve, name="producer-reports", daemon=True)
        self._reports: deque[Report] = deque()
        self._scheduled = threading.Lock()
        self._stopping = threading.Event()
        self._broken = threading.Event()

    def start(self) -> None:
        """Start within a running event loop. Does not wait for a broker."""
        self._loop = asyncio.get_running_loop()
        self._client = Client(self._config)
        self._thread.start()
        self._warming = self._loop.create_task(self._batch.warm())

    async def send(
        self, topic: str, key: bytes | None, value: bytes, headers: Mapping[str, bytes] | None = None
    ) -> None:
        """Return when the record is written to every in-sync replica.

        Raises UnavailableError within DELIVERY_TIMEOUT_MS when that cannot be had (the record may be written
        all the same if only the answer was lost), ContractError for a record that Kafka never takes.
        """
        assert self._client is not None, "start() comes first"
        delivered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def report(error: KafkaError | None, record: Message) -> None:
            self._report(delivered, refusal(error, record))

        try:
            self._client.produce(topic, value, key, on_delivery=report, headers=list((headers or {}).items()))
        except BufferError as error:
            raise UnavailableError("too many records wait for Kafka", retry_after_s=_RETRY_AFTER_S) from error
        except KafkaException as error:
            raise self._translated(error.args[0]) from error
        await delivered

    async def send_all(self, records: Sequence[Outgoing]) -> None:
        """Write all records or none: one transaction, one at a time in this process. Errors as for `send`."""
        await self._batch.send([(r.topic, r.key, r.value, r.headers) for r in records])

    async def probe(self, topic: str) -> float:
        """Seconds that a broker took to name a topic's leaders; UnavailableError when there are none."""
        assert self._client is not None, "start() comes first"
        began = time.perf_counter()
        try:
            found = await asyncio.to_thread(self._client.list_topics, topic, PROBE_TIMEOUT_S)
        except KafkaException as error:
            raise UnavailableError(f"Kafka does not answer: {error.args[0].str()}") from error
        partitions = found.topics[topic].partitions.values()
        if not partitions or all(partition.leader < 0 for partition in partitions):
            raise UnavailableError(f"topic {topic} is missing or has no leader")
        return time.perf_counter() - began

    async def close(self, timeout_s: float = 5.0) -> None:
        """Wait for what is on its way, then stop. Whoever still waits after that gets UnavailableError."""
        if self._client is None:
            return
        await asyncio.to_thread(self._client.flush, timeout_s)
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, timeout_s)
        self._settle()
        if self._warming is not None:
            self._warming.cancel()
        await self._batch.close()
        self._client = None

    def _serve(self) -> None:
        """The thread of delivery reports."""
        while not self._stopping.is_set():
            client = self._client
            if client is None:
                return
            if (fatal := serve(client, _POLL_S)) is not None:
                log.warning("producer failed", error=fatal.str())
                self._broken.set()
            if self._broken.is_set():
                self._renew(client)

    def _renew(self, old: Client) -> None:
        """A fatal error ends a client of librdkafka for good; what it held is reported as failed."""
        log.warning("producer renewed after a fatal error")
        self._client = Client(self._config)
        self._broken.clear()
        retire(old)

    def _report(self, delivered: "asyncio.Future[None]", error: KafkaError | None) -> None:
        """Called by the thread of reports for each record."""
        if error is not None and error.code() == KafkaError._FATAL:
            self._broken.set()
        self._reports.append((delivered, error))
        if self._scheduled.acquire(blocking=False):
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._settle)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._scheduled.release()

    def _settle(self) -> None:
        """Wake everyone whose report has come; runs in the event loop."""
        if self._scheduled.locked():
            self._scheduled.release()
        while self._reports:
            delivered, error = self._reports.popleft()
            if delivered.done():
                continue
            if error is None:
                delivered.set_result(None)
            else:
                delivered.set_exception(self._translated(error))

    def _translated(self, error: KafkaError) -> Exception:
        if error.code() == KafkaError._FATAL:
            self._broken.set()
        return translated(error)


def translated(error: KafkaError) -> Exception:
    """An error of librdkafka as one of ours: too large is the caller's fault, all else is Kafka's."""
    if error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD):
        return ContractError.of("data", "larger than a Kafka record may be (1 MB)")
    return UnavailableError(f"Kafka did not take the record: {error.str()}", retry_after_s=_RETRY_AFTER_S)
