"""Hands jobs in again to a Kafka that has lost them, each once, however often that is done.

What a cluster already holds is read from it: the ids of jobs in `job-requests` and the tier-1 lanes, the keys
in the changelog of idempotency. The transactional id fences an earlier run that still lives, before reading:
so what it wrote is either seen or undone.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import KafkaException, Producer

from connectors.kafka.murmur import partition_of
from connectors.kafka.reading import Reader
from connectors.postgres.left_open import OpenJob, UsedKey
from schemas.commands import is_command
from schemas.errors import DecodeError, UnavailableError
from schemas.records import Job, JobRequest
from schemas.tiers import Tier
from streams.acknowledgement import ONE_REQUEST
from streams.codec import Codec
from streams.settings import KafkaSettings
from streams.topics import Topology

_AT_ONCE = 1_000
_TIMEOUT_S = 30.0

Record = tuple[str, bytes, bytes, int | None, list[tuple[str, bytes]]]
"""Topic, key, value, partition, headers."""


class Recovery:
    """Writes to one cluster; fences whoever else recovers into it. Close it after use."""

    def __init__(self, kafka: KafkaSettings, codec: Codec) -> None:
        self._kafka, self._codec = kafka, codec
        self._topology = Topology.of(kafka)
        self._producer: Any = Producer(
            {
                **kafka.client(),
                **ONE_REQUEST,
                "transactional.id": f"{kafka.topic_prefix}recover",
                "transaction.timeout.ms": 30_000,
                "partitioner": "murmur2_random",
                "log_level": 2,
            }
        )
        try:
            self._producer.init_transactions(_TIMEOUT_S)
        except KafkaException as error:
            raise UnavailableError(f"Kafka does not open a transaction: {error.args[0].str()}") from error

    def known_jobs(self) -> set[str]:
        """The ids of all tier-1 jobs that this cluster has a record of."""
        topics: dict[str, type[JobRequest] | type[Job]] = {
            self._topology.job_requests: JobRequest,
            **dict.fromkeys(self._topology.lanes(Tier.CRITICAL), Job),
        }
        found: set[str] = set()
        with Reader(self._kafka) as reader:
            for topic, record in topics.items():
                for batch in reader.read(reader.spans(topic)):
                    for message in batch:
                        value = message.value()
                        if isinstance(value, bytes):
                            self._note(found, record, value)
        return found

    def known_keys(self) -> set[bytes]:
        """The idempotency keys that this cluster knows of."""
        found: set[bytes] = set()
        with Reader(self._kafka) as reader:
            for batch in reader.read(reader.spans(self._topology.idempotency(Tier.CRITICAL))):
                found.update(key for message in batch if isinstance(key := message.key(), bytes))
        return found

    def submit(self, jobs: Iterable[OpenJob]) -> int:
        """Hand jobs in again; how many."""
        return self._write([self._asked(job.request) for job in jobs if job.request is not None])

    def remember(self, keys: Iterable[UsedKey]) -> int:
        """Note keys that had their effect, where the workers look for them when they start; how many."""
        return self._write([self._entry(key) for key in keys])

    def close(self) -> None:
        """Let go of the client; what was not committed is undone."""
        self._producer.purge()

    def _note(self, found: set[str], record: type[JobRequest] | type[Job], value: bytes) -> None:
        try:
            known = self._codec.decode(record, value)
        except DecodeError:
            return
        # The order to cancel a lost job is no record of that job.
        if not is_command(known):
            found.add(known.job_id)

    def _entry(self, used: UsedKey) -> Record:
        topic = self._topology.idempotency(Tier.CRITICAL)
        partition = partition_of(used.ordering_key.encode(), self._topology.partitions)
        return topic, used.key, self._codec.encode(used.entry), partition, []

    def _asked(self, request: JobRequest) -> Record:
        given = {
            "job-id": request.job_id,
            "request-id": request.request_id,
            "tenant": request.tenant_id,
        }
        headers = [(name, text.encode()) for name, text in given.items() if text]
        key = (request.document_id or request.ordering_key or request.job_id).encode()
        return self._topology.job_requests, key, self._codec.encode(request), None, headers

    def _write(self, records: Sequence[Record]) -> int:
        for start in range(0, len(records), _AT_ONCE):
            self._commit(records[start : start + _AT_ONCE])
        return len(records)

    def _commit(self, records: Sequence[Record]) -> None:
        try:
            self._producer.begin_transaction()
            for topic, key, value, partition, headers in records:
                placed = {} if partition is None else {"partition": partition}
                self._producer.produce(topic, value, key, headers=headers, **placed)
                self._producer.poll(0)
            self._producer.commit_transaction(_TIMEOUT_S)
        except (KafkaException, BufferError) as error:
            raise UnavailableError(f"Kafka did not take the jobs: {error}; run it again") from error
