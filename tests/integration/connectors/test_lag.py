"""Lag, as the brokers tell it, of groups that nobody is a member of."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.kafka.lag import PartitionLag, Place, State
from connectors.kafka.lag_reading import LagReading
from connectors.kafka.lag_trend import STALLED_S, Trends
from connectors.kafka.readers import Reader
from schemas.errors import UnavailableError
from streams.settings import KafkaSettings
from streams.transport import offset_metadata
from tests.topics import await_known


class Log:
    """A topic of two partitions and a group that commits in it without ever joining."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.topic = f"lag-{uuid.uuid4().hex[:10]}"
        self.group = f"{self.topic}-group"
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        (made,) = self._admin.create_topics([NewTopic(self.topic, 2, 1)]).values()
        made.result(60)
        await_known(self._admin, [self.topic])

    def produce(self, count: int, *, timestamp: float | None = None, partition: int = 0) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap})
        for _ in range(count):
            stamp = int(1000 * (time.time() if timestamp is None else timestamp))
            producer.produce(self.topic, b"value", b"key", partition, timestamp=stamp)
        assert producer.flush(30) == 0

    def transaction(self, count: int, *, commit: bool = True) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "transactional.id": uuid.uuid4().hex})
        producer.init_transactions(30)
        producer.begin_transaction()
        for _ in range(count):
            producer.produce(self.topic, b"value", b"key", 0)
        producer.flush(30)
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)

    def open_transaction(self, count: int) -> Producer:
        producer = Producer({"bootstrap.servers": self.bootstrap, "transactional.id": uuid.uuid4().hex})
        producer.init_transactions(30)
        producer.begin_transaction()
        for _ in range(count):
            producer.produce(self.topic, b"value", b"key", 0)
        producer.flush(30)
        return producer

    def commit(self, offset: int, mask: int = 0, partition: int = 0) -> None:
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group})
        metadata = offset_metadata.encode(mask)
        place = TopicPartition(self.topic, partition, offset, metadata)
        consumer.commit(offsets=[place], asynchronous=False)
        consumer.close()

    def delete_before(self, offset: int) -> None:
        (done,) = self._admin.delete_records([TopicPartition(self.topic, 0, offset)]).values()
        done.result(30)

    def drop(self) -> None:
        self._admin.delete_topics([self.topic])


@pytest.fixture
def log(kafka_bootstrap: str) -> Iterator[Log]:
    made = Log(kafka_bootstrap)
    yield made
    made.drop()


def is_age(found: float | None, age_s: float) -> bool:
    """Whether a record that was so old when it was written is found so old now, give or take the machine."""
    return found is not None and age_s - 1 <= found <= age_s + 60


Read = Callable[..., dict[int, PartitionLag]]


@pytest.fixture
def read(kafka_bootstrap: str) -> Iterator[Read]:
    readings: list[LagReading] = []

    def asked(log: Log, kept: Callable[[], Mapping[Place, int]] | None = None) -> dict[int, PartitionLag]:
        kafka = KafkaSettings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap})
        reading = LagReading(kafka, {"store": kept} if kept else {})
        readings.append(reading)
        reader = Reader(log.group, (log.topic,), "store" if kept else None)
        deadline = time.monotonic() + 60
        while True:
            found = {lag.partition: lag for lag in reading.read([reader])}
            # What could not be read in its five seconds is asked again.
            if all(lag.seconds is not None for lag in found.values()) or time.monotonic() > deadline:
                return found

    yield asked
    for reading in readings:
        reading.close()


def test_a_group_that_never_ran_lacks_the_whole_log_and_is_as_late_as_its_first_record(
    log: Log, read: Read
) -> None:
    log.produce(2, timestamp=time.time() - 100)
    log.produce(3)
    found = read(log)
    assert (found[0].records, found[0].exact, found[0].position) == (5, True, None)
    assert is_age(found[0].seconds, 100)
    assert (found[1].records, found[1].seconds) == (0, 0.0)


def test_lag_in_seconds_is_the_age_of_the_oldest_unread_record_not_of_the_last_read_one(
    log: Log, read: Read
) -> None:
    for age in (1000, 500, 30):
        log.produce(1, timestamp=time.time() - age)
    log.commit(2)
    found = read(log)[0]
    assert (found.records, found.position, found.end) == (1, 2, 3)
    assert is_age(found.seconds, 30)


def test_a_commit_marker_behind_the_last_record_is_no_lag(log: Log, read: Read) -> None:
    log.transaction(3)
    log.commit(3)
    found = read(log)[0]
    assert found.end == 4
    assert (found.records, found.seconds) == (0, 0.0)


def test_markers_between_unread_records_are_not_counted(log: Log, read: Read) -> None:
    for _ in range(5):
        log.transaction(1)
    log.commit(0)
    assert read(log)[0].records == 5


def test_aborted_records_are_no_lag(log: Log, read: Read) -> None:
    log.transaction(50, commit=False)
    log.commit(0)
    found = read(log)[0]
    assert found.end == 51
    assert (found.records, found.seconds) == (0, 0.0)


def test_records_of_an_open_transaction_are_hidden_and_not_yet_lag(log: Log, read: Read) -> None:
    log.produce(1)
    log.commit(1)
    producer = log.open_transaction(4)
    found = read(log)[0]
    assert (found.records, found.hidden) == (0, 4)
    producer.commit_transaction(30)
    assert (read(log)[0].records, read(log)[0].hidden) == (4, 0)


def test_offsets_done_out_of_order_are_neither_counted_nor_the_oldest(log: Log, read: Read) -> None:
    for age in (400, 300, 200, 100):
        log.produce(1, timestamp=time.time() - age)
    log.commit(0, mask=0b0011)  # offsets 0 and 1 are done, 2 and 3 are not
    found = read(log)[0]
    assert found.records == 2
    assert is_age(found.seconds, 200)


def test_behind_a_long_log_offsets_are_counted_and_the_oldest_record_is_still_found(
    log: Log, read: Read
) -> None:
    log.produce(3_000, timestamp=time.time() - 50)
    log.commit(100)
    found = read(log)[0]
    assert (found.records, found.exact) == (2_900, False)
    assert is_age(found.seconds, 50)


def test_records_deleted_before_they_were_read_are_told_as_lost(log: Log, read: Read) -> None:
    log.produce(10)
    log.commit(2)
    log.delete_before(7)
    found = read(log)[0]
    assert (found.lost, found.records) == (5, 3)


def test_positions_of_a_store_count_more_than_the_commits_of_its_group(log: Log, read: Read) -> None:
    log.produce(10)
    log.commit(9)
    found = read(log, lambda: {(log.topic, 0): 4})[0]
    assert (found.records, found.position, found.kept_in) == (6, 4, "store")


def test_a_store_that_is_away_is_stood_in_for_by_the_commits_of_its_group(log: Log, read: Read) -> None:
    def away() -> Mapping[Place, int]:
        raise UnavailableError("away")

    log.produce(10)
    log.commit(9)
    found = read(log, away)[0]
    assert (found.records, found.kept_in) == (1, "group")


def test_a_reading_that_is_used_again_sees_what_came_since(log: Log, kafka_bootstrap: str) -> None:
    reading = LagReading(KafkaSettings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap}), {})
    reader = Reader(log.group, (log.topic,))
    log.commit(0)
    log.commit(0, partition=1)
    for count in range(1, 5):
        log.produce(1, timestamp=time.time() - 400)
        log.produce(1, timestamp=time.time() - 200, partition=1)
        first, second = reading.read([reader])
        assert (first.records, second.records) == (count, count)
        assert (first.exact, second.exact) == (True, True)
        assert is_age(first.seconds, 400)
        assert is_age(second.seconds, 200)
    reading.close()


def test_a_group_that_reads_no_more_is_stalled_after_a_while_and_moves_when_it_goes_on(
    log: Log, read: Read
) -> None:
    trends, began = Trends(), time.monotonic()
    log.produce(3)
    log.commit(1)
    first = trends.note(read(log)[0], began)
    standing = trends.note(read(log)[0], began + STALLED_S / 2)
    log.produce(1)
    stalled = trends.note(read(log)[0], began + STALLED_S)
    log.commit(2)
    moving = trends.note(read(log)[0], began + STALLED_S + 1)
    states = [trend.state for trend in (first, standing, stalled, moving)]
    assert states == [State.UNKNOWN, State.STANDING, State.STALLED, State.MOVING]
    assert stalled.standing_s == STALLED_S


def test_a_group_that_was_set_back_is_rewound_and_has_its_records_before_it_again(
    log: Log, read: Read
) -> None:
    trends, began = Trends(), time.monotonic()
    log.produce(3)
    log.commit(3)
    assert trends.note(read(log)[0], began).state is State.CAUGHT_UP
    log.commit(1)
    lag = read(log)[0]
    trend = trends.note(lag, began + 1)
    assert (trend.state, trend.rewinds, lag.records) == (State.REWOUND, 1, 2)


def test_any_group_is_read_by_the_topics_it_has_committed_in(log: Log, kafka_bootstrap: str) -> None:
    log.produce(3)
    log.commit(1)
    reading = LagReading(KafkaSettings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap}), {})
    reader = reading.foreign(log.group)
    assert reader.topics == (log.topic,)
    assert [lag.records for lag in reading.read([reader])] == [2, 0]
    assert reading.members([log.group]) == {log.group: 0}
    reading.close()


def test_without_a_broker_the_error_says_so() -> None:
    reading = LagReading(KafkaSettings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}), {})
    with pytest.raises(UnavailableError, match="Kafka does not answer"):
        reading.read([Reader("group", ("topic",))])
    reading.close()
