"""What a delivery report of librdkafka proves; it says "written" of records that may not be.

With several requests under way it takes a batch for written as soon as a later one of its partition is. A
broker that hears between the two that it leads the partition (a new topic, another leader) has refused the
first, and of a producer that it does not know yet it takes the second at any sequence number: see
confluentinc/confluent-kafka-go#921; here the first record of a topic was lost. Such a report has no offset.

Whoever writes with more than one request under way and relies on it asks `refusal` of each report.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

ONE_REQUEST: dict[str, Any] = {"max.in.flight.requests.per.connection": 1}
"""Of a producer that asks for no reports: it happens to nobody who waits for each answer."""


def refusal(error: KafkaError | None, record: Message) -> KafkaError | None:
    """Why a record is not known to be written, or None when a broker told its offset."""
    if error is None and record.offset() is None:
        place = f"{record.topic()} [{record.partition()}]"
        reason = f"a later batch was written to {place}, of this one nothing is known"
        return KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION, reason, False, True, True)
    return error


@contextlib.contextmanager
def unmasked() -> Iterator[None]:
    """Raise the KafkaException that a SystemError hides.

    A fatal error is raised by whatever call serves reports just then; when a report comes after it in that
    call, confluent-kafka 2.16 raises a SystemError about the report's callback.
    """
    try:
        yield
    except SystemError as error:
        if isinstance(error.__cause__, KafkaException):
            raise error.__cause__ from None
        raise


def serve(producer: Producer, wait_s: float) -> KafkaError | None:
    """Hand out the reports that come within `wait_s`; the error that ended the client, if one did."""
    try:
        with unmasked():
            producer.poll(wait_s)
    except KafkaException as error:
        fatal: KafkaError = error.args[0]
        return fatal
    return None


def retire(producer: Producer) -> None:
    """End a client that failed for good: what it held is reported as failed. Blocks a second at most."""
    producer.purge()
    with contextlib.suppress(KafkaException), unmasked():
        producer.flush(1.0)


class Reports:
    """What became of the records of one transaction; `note` is the callback of those that are asked for."""

    def __init__(self) -> None:
        self._refusal: KafkaError | None = None
        self.has_failures = False
        """A record was given up. The client then counts as if it had been the newest one, and of a later
        transaction a record could pass for the repeat of another: the producer is to be replaced."""

    def note(self, error: KafkaError | None, record: Message) -> None:
        """Take a report."""
        if error is not None:
            self.has_failures = True
        elif self._refusal is None:
            self._refusal = refusal(None, record)

    def check(self) -> None:
        """KafkaException when a record is not known to be written. Of failures the commit tells."""
        if self._refusal is not None:
            raise KafkaException(self._refusal)
