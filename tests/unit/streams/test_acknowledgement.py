from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, Message

from streams.acknowledgement import refusal

FAILED = KafkaError(KafkaError._MSG_TIMED_OUT)


def report(offset: int | None) -> Message:
    record = Mock(spec=Message)
    record.offset.return_value = offset
    record.topic.return_value, record.partition.return_value = "jobs", 3
    return record


@pytest.mark.parametrize("offset", [0, 7])
def test_a_record_with_an_offset_is_written(offset: int) -> None:
    assert refusal(None, report(offset)) is None


def test_an_error_stays_what_it_is() -> None:
    assert refusal(FAILED, report(None)) is FAILED


def test_a_record_without_an_offset_is_not_known_to_be_written_and_its_transaction_is_to_end() -> None:
    found = refusal(None, report(None))
    assert found is not None
    assert "jobs [3]" in found.str()
    assert found.txn_requires_abort()
    assert not found.fatal()
