"""The transactional producer: one transaction at a time, in the `transact` thread."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from streams.acknowledgement import unmasked
from streams.transport import identity, offset_metadata, positions
from streams.transport.batch import Batch, Position
from streams.transport.config import EngineConfig
from streams.transport.errors import ProducerFatal
from streams.transport.metrics import EngineMetrics
from streams.transport.outbox import Outbox

T = TypeVar("T")

log = logging.getLogger(__name__)

_CALL_S = 5.0
_COMMIT_S = 30.0
# An abort that does not end is left to the next producer, whose init_transactions aborts at the broker.
_ABORT_S = 10.0
_NO_TRANSACTION_S = 60.0


class Transactor:
    """Writes sealed batches; every method belongs to the `transact` thread.

    `metadata` answers the group metadata as the consume thread saw it last: never ahead of the callbacks
    that close partitions, so nothing of an old assignment goes out under a new generation.
    """

    def __init__(
        self, config: EngineConfig, app_id: str, metadata: Callable[[], bytes], metrics: EngineMetrics
    ) -> None:
        self._config, self._app_id, self._metadata, self._metrics = config, app_id, metadata, metrics
        self._producer: Producer | None = None
        self.stopped = False
        self.calls_begun = 0
        self.calls_ended = 0

    def connect(self) -> None:
        """Replace the producer; aborts what a predecessor of this name left open. Blocks until it works."""
        if self._producer is not None:
            self._call(self._drop_producer)
        wait_s = 0.1
        while not self.stopped:
            producer = Producer(self._config.transactional_producer(self._app_id))
            try:
                self._call(producer.init_transactions, _CALL_S)
            except KafkaException as error:
                log.warning("init_transactions: %s", error)
                time.sleep(wait_s)
                wait_s = min(wait_s * 2, 2.0)
            else:
                self._producer = producer
                return

    def commit(self, batches: Sequence[Batch]) -> list[Batch]:
        """Commit the batches in one transaction and answer those that were.

        Aborted for a passing reason: the same batches again (they are in memory, no handler runs twice).
        Batches whose partition closed meanwhile are left out. Raises ProducerFatal when only the broker
        knows the outcome.
        """
        begun, wait_s = time.monotonic(), 0.02
        while True:
            metadata = self._metadata()
            # The order matters: a partition is closed before the identity of a later generation is seen.
            batches = [batch for batch in batches if not batch.owned.is_closed]
            if not batches:
                return []
            if identity.parse(metadata).is_member and self._attempt(batches, metadata):
                self._metrics.commit_seconds.observe(time.monotonic() - begun)
                _persist(batches)
                return list(batches)
            if time.monotonic() - begun > _NO_TRANSACTION_S:
                raise ProducerFatal(f"no transaction for {_NO_TRANSACTION_S} s")
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, 0.5)

    def _drop_producer(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def _attempt(self, batches: Sequence[Batch], metadata: bytes) -> bool:
        """Write and commit once; False when aborted."""
        producer = self._producer
        if producer is None:
            raise ProducerFatal("there is no producer")
        outbox = Outbox()
        try:
            self._write(producer, outbox, batches, metadata)
        except KafkaException as failure:
            error = failure.args[0]
            self._metrics.aborts.inc()
            log.warning("transaction aborted: %s", error)
            if error.fatal():
                raise ProducerFatal(str(error)) from failure
            self._abort(producer)
            if outbox.reports.has_failures:
                self.connect()
            return False
        return True

    def _write(self, producer: Producer, outbox: Outbox, batches: Sequence[Batch], metadata: bytes) -> None:
        producer.begin_transaction()
        for batch in batches:
            outbox.send(producer, batch)
        offsets = [_group_offset(position) for batch in batches for position in batch.positions]
        # After a time-out this call is not repeated but aborted: repeating it was seen to hang for ever.
        self._call(producer.send_offsets_to_transaction, offsets, metadata, _CALL_S)
        # The commit would wait for the same, and then it would be too late to look.
        self._until_reported(producer)
        outbox.reports.check()
        self._until_clear(producer.commit_transaction, _COMMIT_S)

    def _until_reported(self, producer: Producer) -> None:
        deadline = time.monotonic() + _COMMIT_S
        while self._call(producer.flush, _CALL_S):
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "records are not acknowledged"))

    def _abort(self, producer: Producer) -> None:
        try:
            self._until_clear(producer.abort_transaction, _ABORT_S)
        except KafkaException as failure:
            raise ProducerFatal(f"abort: {failure}") from failure

    def _until_clear(self, function: Callable[[float], None], limit_s: float) -> None:
        """Call again while the answer is 'try again': the broker is away or its coordinator loads."""
        deadline = time.monotonic() + limit_s
        while True:
            try:
                return self._call(function, _CALL_S)
            except KafkaException as failure:
                error = failure.args[0]
                passing = error.retriable() and not error.txn_requires_abort() and not error.fatal()
                if not passing:
                    raise
                if time.monotonic() > deadline:
                    raise ProducerFatal(f"outcome unknown: {error}") from failure
                log.warning("transaction: %s", error)
            time.sleep(0.05)

    def _call(self, function: Callable[..., T], *args: object) -> T:
        """Every transactional call passes here, so that the watchdog sees one that hangs."""
        self.calls_begun += 1
        try:
            with unmasked():
                return function(*args)
        finally:
            self.calls_ended = self.calls_begun


def _persist(batches: Sequence[Batch]) -> None:
    """Into the stores; one that fails is read again from its changelog, as after a crash."""
    for batch in batches:
        for changes in batch.changes:
            notes: dict[bytes, bytes] = {}
            if changes.table.keeps_positions:
                notes = {positions.key(source.topic): positions.dump(source) for source in batch.positions}
            try:
                changes.table.persist(changes.values, notes, changes.changelog_end)
            except Exception as error:
                raise ProducerFatal(f"store of {changes.table.table} failed: {error}") from error


def _group_offset(position: Position) -> TopicPartition:
    metadata = offset_metadata.encode(position.mask)
    return TopicPartition(position.topic, position.partition, position.offset, metadata)
