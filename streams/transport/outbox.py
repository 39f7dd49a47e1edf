"""The records of one transaction on their way to the brokers."""

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, Message, Producer

from streams.acknowledgement import Reports
from streams.transport import positions
from streams.transport.batch import Batch, Changes, Position
from streams.transport.step import Headers

Report = Callable[[KafkaError | None, Message], None]


class Outbox:
    """Of one attempt; used by the `transact` thread alone, which also serves the reports.

    Does not keep the producer: a report that is never served would keep both for ever.
    """

    def __init__(self) -> None:
        self.reports = Reports()
        self._begun: set[tuple[str, int]] = set()

    def send(self, producer: Producer, batch: Batch) -> None:
        """Queue all of a batch; waits while the producer's queue is full."""
        for topic, value, key, partition, headers in batch.outputs:
            _produce(producer, topic, value, key, partition, headers, self._report(topic, partition))
        for changes in batch.changes:
            self._send_changes(producer, changes, batch.positions)

    def _report(self, topic: str, partition: int) -> Report | None:
        """Who hears of a record: only the first of a partition can be lost, after it the broker counts.

        Of records whose partition the producer chooses any may be the first.
        """
        if partition < 0:
            return self.reports.note
        place = (topic, partition)
        if place in self._begun:
            return None
        self._begun.add(place)
        return self.reports.note

    def _send_changes(self, producer: Producer, changes: Changes, sources: Sequence[Position]) -> None:
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
            self.reports.note(error, record)

        for key, value in records[:-1]:
            report = self._report(table.changelog, table.partition)
            _produce(producer, table.changelog, value, key, table.partition, None, report)
        key, value = records[-1]
        _produce(producer, table.changelog, value, key, table.partition, None, delivered)


def _produce(
    producer: Producer,
    topic: str,
    value: bytes | None,
    key: bytes | None,
    partition: int,
    headers: Headers | None,
    report: Report | None,
) -> None:
    """Queue one record; waits while the producer's queue is full."""
    while True:
        try:
            if headers is not None:
                return producer.produce(
                    topic, value, key, partition, headers=list(headers), on_delivery=report
                )
            return producer.produce(topic, value, key, partition, on_delivery=report)
        except BufferError:
            producer.poll(0.05)
