"""A store and a position count for one incarnation of a topic only."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.transport import positions
from streams.transport.batch import Position
from streams.transport.incarnations import bind, patiently
from streams.transport.rocks import RocksStore, shared_cache
from streams.transport.store import Store

DAY_S = 86_400.0


def test_a_store_of_the_same_changelog_is_kept(store: Store) -> None:
    bind(store, "t-0", "first")
    store.write({b"a": b"1"}, {}, 7)
    bind(store, "t-0", "first")
    assert (store.get(b"a"), store.offset) == (b"1", 7)


def test_a_store_of_a_changelog_that_was_made_anew_is_thrown_away(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    bind(store, "t-0", "first")
    store.write({b"a": b"1"}, {positions.key("source"): b'[3, ""]'}, 7)
    bind(store, "t-0", "second")
    assert (store.get(b"a"), store.offset) == (None, 0)
    assert not any(positions.is_position(key) for key in store.notes())
    assert "store of t-0 is that of changelog first, which is second now" in caplog.text
    store.write({b"b": b"2"}, {}, 4)
    bind(store, "t-0", "second")
    assert (store.get(b"b"), store.offset) == (b"2", 4)


def test_a_store_that_does_not_say_whose_it_is_is_thrown_away(store: Store) -> None:
    store.write({b"a": b"1"}, {}, 7)
    bind(store, "t-0", "first")
    assert (store.get(b"a"), store.offset) == (None, 0)


def test_a_store_is_kept_when_the_topics_id_is_not_told(store: Store) -> None:
    bind(store, "t-0", "first")
    store.write({b"a": b"1"}, {}, 7)
    bind(store, "t-0", None)
    assert (store.get(b"a"), store.offset) == (b"1", 7)


def test_the_store_on_disk_knows_its_changelog_after_a_restart(tmp_path: Path) -> None:
    first = RocksStore(tmp_path / "s", shared_cache(), DAY_S)
    bind(first, "t-0", "first")
    first.write({b"a": b"1"}, {}, 7)
    first.close()
    second = RocksStore(tmp_path / "s", shared_cache(), DAY_S)
    bind(second, "t-0", "first")
    assert second.offset == 7
    bind(second, "t-0", "second")
    assert (second.offset, second.get(b"a")) == (0, None)
    second.close()


def noted(*found: Position) -> dict[bytes, bytes]:
    return {positions.key(position.topic): positions.dump(position) for position in found}


def test_a_position_is_read_back_with_its_topics_id() -> None:
    position = Position("t", 3, 70, 0b1010, "first")
    assert positions.load(3, positions.key("t"), positions.dump(position)) == position


def test_a_position_from_before_ids_were_kept_is_read_back() -> None:
    assert positions.load(3, positions.key("t"), b'[70, ""]') == Position("t", 3, 70, 0)


def test_the_highest_position_of_each_topic_counts() -> None:
    notes = [
        noted(Position("t", 3, 70, 0, "first")),
        noted(Position("t", 3, 80, 0, "first"), Position("u", 3, 5, 0)),
        {b"changelog-id": b"x"},
    ]
    found = positions.highest(3, notes, {"t": "first", "u": "other"})
    assert {topic: position.offset for topic, position in found.items()} == {"t": 80, "u": 5}


def test_a_position_in_a_topic_that_was_made_anew_is_forgotten() -> None:
    notes = [noted(Position("t", 3, 70, 0, "first"), Position("u", 3, 5, 0, "kept"))]
    assert list(positions.highest(3, notes, {"t": "second", "u": "kept"})) == ["u"]


def test_a_position_counts_while_its_topics_id_is_not_told() -> None:
    assert list(positions.highest(3, [noted(Position("t", 3, 70, 0, "first"))], {})) == ["t"]


def test_ids_are_asked_for_until_they_are_told() -> None:
    away = KafkaException(KafkaError(KafkaError._TRANSPORT))
    answers: Iterator[KafkaException | dict[str, str]] = iter([away, {"t": "1"}, {"t": "1", "u": "2"}])

    def ask(names: Collection[str]) -> dict[str, str]:
        answer = next(answers)
        if isinstance(answer, KafkaException):
            raise answer
        return answer

    assert patiently(ask, ["t", "u"], lambda: False) == {"t": "1", "u": "2"}


def test_nobody_asks_for_a_partition_that_went() -> None:
    def ask(names: Collection[str]) -> dict[str, str]:
        raise AssertionError("asked")

    assert patiently(ask, ["t"], lambda: True) == {}


def test_ids_that_are_not_told_in_time_cost_only_the_protection(caplog: pytest.LogCaptureFixture) -> None:
    assert patiently(lambda names: {"t": "1"}, ["t", "u"], lambda: False, limit_s=0) == {"t": "1"}
    assert "not told" in caplog.text
