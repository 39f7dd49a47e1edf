"""What a delivery report of librdkafka proves; it says "written" of records that may not be.

With several requests under way it takes a batch for written as soon as a later one of its partition is. A
broker that hears between the two that it leads the partition (a new topic, another leader) has refused the
first, and of a producer that it does not know yet it takes the second at any sequence number: see
confluentinc/confluent-kafka-go#921; here the first record of a topic was lost. Such a report has no offset.

Whoever writes with more than one request under way and relies on it asks `refusal` of each report.
"""

from typing import Any

from confluent_kafka import KafkaError, Message

ONE_REQUEST: dict[str, Any] = {"max.in.flight.requests.per.connection": 1}
"""Of a producer that asks for no reports: it happens to nobody who waits for each answer."""


def refusal(error: KafkaError | None, record: Message) -> KafkaError | None:
    """Why a record is not known to be written, or None when a broker told its offset."""
    if error is None and record.offset() is None:
        place = f"{record.topic()} [{record.partition()}]"
        reason = f"a later batch was written to {place}, of this one nothing is known"
        return KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION, reason, False, True, True)
    return error
