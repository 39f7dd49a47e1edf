from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException, Message

from streams.acknowledgement import Reports, refusal, serve

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


def test_a_transaction_of_which_everything_is_written_is_well() -> None:
    reports = Reports()
    reports.note(None, report(0))
    reports.check()
    assert not reports.has_failures


def test_one_record_that_is_not_known_to_be_written_is_enough() -> None:
    reports = Reports()
    for offset in (3, None, 4):
        reports.note(None, report(offset))
    with pytest.raises(KafkaException, match=r"jobs \[3\]"):
        reports.check()
    assert not reports.has_failures


def test_what_was_given_up_is_told_apart() -> None:
    reports = Reports()
    reports.note(FAILED, report(None))
    reports.check()
    assert reports.has_failures


def test_serving_reports_tells_the_error_that_ended_the_client() -> None:
    producer = Mock()
    assert serve(producer, 0.5) is None
    producer.poll.assert_called_once_with(0.5)
    producer.poll.side_effect = KafkaException(FAILED)
    assert serve(producer, 0.5) is FAILED


def test_serving_reports_tells_also_of_one_that_a_system_error_hides() -> None:
    hidden = SystemError("the callback's result")
    hidden.__cause__ = KafkaException(FAILED)
    assert serve(Mock(poll=Mock(side_effect=hidden)), 0) is FAILED
    with pytest.raises(SystemError):
        serve(Mock(poll=Mock(side_effect=SystemError())), 0)
