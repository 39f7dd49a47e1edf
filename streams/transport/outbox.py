"""The records of one transaction on their way to the brokers, and whether these have them all."""

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.acknowledgement import refusal
from streams.transport import positions
from streams.transport.batch import Batch, Changes, Position
from streams.transport.step import Headers

Report = Callable[[KafkaError | None, Message], None]


class Outbox:
    """Of one attempt; used by the `transact` thread alone, which also serves the reports."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._begun: set[tuple[str, int]] = set()
        self._refusal: KafkaError | None = None

    def send(self, batch: Batch) -> None:
        """Queue all of a batch; waits while the producer's queue is full."""
        for topic, value, key, partition, headers in batch.outputs:
            self._send(topic, value, key, partition, headers, self._first(topic, partition))
        for changes in batch.changes:
            self._send_changes(changes, batch.positions)

    def check(self) -> None:
        """KafkaException when a record is not known to be written. Once all of them are reported."""
        if self._refusal is not None:
            raise KafkaException(self._refusal)

    def _first(self, topic: str, partition: int) -> Report | None:
        """Who hears of a record: only the first of a partition can be lost, after it the broker counts.

        Of records whose partition the producer chooses any may be the first.
        """
        if partition < 0:
            return self._report
        place = (topic, partition)
        if place in self._begun:
            return None
        self._begun.add(place)
        return self._report

    def _report(self, error: KafkaError | None, record: Message) -> None:
        if error is None:  # of an error the commit tells
            self._refusal = self._refusal or refusal(error, record)

    def _send_changes(self, changes: Changes, sources: Sequence[Position]) -> None:
        """The new values of one table partition; the table that keeps the positions ends with them."""
        table = changes.table
        records = list(changes.values.items())
        if table.keeps_positions:
            records += [(positions.key(source.topic), positions.dump(source)) for source in sources]
        if not records:
            return

        def delivered(error: KafkaError | None, record: Message) -> None:
            offset = record.offset()
            changes.changelog_end = None if error or offset is None else offset + 1
            self._report(error, record)

        for key, value in records[:-1]:
            report = self._first(table.changelog, table.partition)
            self._send(table.changelog, value, key, table.partition, None, report)
        key, value = records[-1]
        self._send(table.changelog, value, key, table.partition, None, delivered)

    def _send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        headers: Headers | None,
        report: Report | None,
    ) -> None:
        while True:
            try:
                if headers is not None:
                    return self._producer.produce(
                        topic, value, key, partition, headers=list(headers), on_delivery=report
                    )
                return self._producer.produce(topic, value, key, partition, on_delivery=report)
            except BufferError:
                self._producer.poll(0.05)
