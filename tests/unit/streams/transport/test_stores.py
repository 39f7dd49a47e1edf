"""One behaviour for the store in memory and the store on disk, and for the layers over both."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.transport.rocks import RocksStore, shared_cache, store_path
from streams.transport.sorted_map import SortedMap, after_prefix
from streams.transport.store import MemoryStore, Store
from streams.transport.table_partition import TablePartition

DAY_S = 86_400.0


def test_an_empty_store_stands_at_the_beginning(store: Store) -> None:
    assert (store.offset, store.get(b"k"), store.count(), store.notes()) == (0, None, 0, {})
    assert list(store.scan(b"", None)) == []


def test_values_are_read_back_and_removed(store: Store) -> None:
    store.write({b"a": b"1", b"b": b"", b"c": b"3"}, {}, 7)
    store.write({b"a": None, b"c": b"4", b"unknown": None}, {}, None)
    assert [store.get(key) for key in (b"a", b"b", b"c")] == [None, b"", b"4"]
    assert (store.count(), store.offset) == (2, 7)


def test_a_scan_is_in_key_order_between_its_bounds(store: Store) -> None:
    keys = [b"", b"\x00", b"a", b"ab", b"b", b"\xff", b"\xff\xff"]
    store.write({key: b"v" + key for key in reversed(keys)}, {b"note": b"x"}, 3)
    assert [key for key, _ in store.scan(b"", None)] == keys
    assert [key for key, _ in store.scan(b"a", b"b")] == [b"a", b"ab"]
    assert [value for _, value in store.scan(b"\xff", None)] == [b"v\xff", b"v\xff\xff"]


def test_notes_are_kept_apart_from_entries(store: Store) -> None:
    store.write({b"n": b"entry"}, {b"n": b"1", b"m": b"2"}, 1)
    store.write({}, {b"n": b"3"}, 2)
    assert store.notes() == {b"n": b"3", b"m": b"2"}
    assert list(store.scan(b"", None)) == [(b"n", b"entry")]


def test_counting_stays_right_after_the_first_count(store: Store) -> None:
    store.write({b"a": b"1"}, {}, 1)
    assert store.count() == 1
    store.write({b"a": b"2", b"b": b"1", b"c": None}, {}, 2)
    assert store.count() == 2
    store.write({b"a": None}, {}, 3)
    assert store.count() == 1


def test_a_cleared_store_is_as_new(store: Store) -> None:
    store.write({b"a": b"1"}, {b"n": b"1"}, 9)
    store.clear()
    assert (store.offset, store.count(), store.notes(), store.get(b"a")) == (0, 0, {}, None)
    store.write({b"b": b"1"}, {}, 2)
    assert store.get(b"b") == b"1"


def test_a_long_scan_reads_page_by_page(store: Store) -> None:
    store.write({b"%05d" % number: b"v" for number in range(1_500)}, {}, 1)
    seen = [key for key, _ in store.scan(b"00003", b"01400")]
    assert seen == [b"%05d" % number for number in range(3, 1_400)]


def test_rocksdb_finds_its_data_and_offset_again(tmp_path: Path) -> None:
    first = RocksStore(tmp_path / "s", shared_cache(), DAY_S)
    first.write({b"a": b"1"}, {b"n": b"1"}, 42)
    first.close()
    second = RocksStore(tmp_path / "s", shared_cache(), DAY_S)
    assert (second.get(b"a"), second.notes(), second.offset) == (b"1", {b"n": b"1"}, 42)
    second.close()


def test_a_store_not_attached_for_too_long_is_thrown_away(tmp_path: Path) -> None:
    first = RocksStore(tmp_path / "s", shared_cache(), DAY_S)
    first.write({b"a": b"1"}, {}, 42)
    first.close()
    old = time.time() - 2 * DAY_S
    os.utime(tmp_path / "s" / "attached", (old, old))
    second = RocksStore(tmp_path / "s", shared_cache(), DAY_S)
    assert (second.offset, second.get(b"a")) == (0, None)
    second.close()


def test_an_unreadable_store_is_rebuilt(tmp_path: Path) -> None:
    first = RocksStore(tmp_path / "s", shared_cache(), DAY_S)
    first.write({b"a": b"1"}, {}, 42)
    first.close()
    for file in (tmp_path / "s" / "db").glob("CURRENT"):
        file.write_bytes(b"garbage")
    second = RocksStore(tmp_path / "s", shared_cache(), DAY_S)
    assert second.offset == 0
    second.close()


def test_processes_tables_and_partitions_have_folders_of_their_own(tmp_path: Path) -> None:
    paths = {
        store_path(tmp_path, process, table, partition)
        for process in ("app-a", "app-b")
        for table in ("t", "u")
        for partition in (1, 2)
    }
    assert len(paths) == 8


class Model:
    """A table partition and the dict it has to agree with."""

    def __init__(self, store: Store) -> None:
        self.table = TablePartition("t", "c", 0, store)
        self.values: dict[bytes, bytes] = {}

    def check(self, start: bytes, prefix: bytes) -> None:
        expected = sorted((k, v) for k, v in self.values.items() if k >= start and k.startswith(prefix))
        assert list(self.table.scan(start, prefix)) == expected
        assert self.table.count() == len(self.values)


small_keys = st.binary(max_size=3)
Actions = list[tuple[str, dict[bytes, bytes | None], bytes, bytes]]
writes = st.dictionaries(small_keys, st.one_of(st.none(), st.binary(max_size=2)), max_size=5)
actions = st.lists(
    st.tuples(st.sampled_from(["apply", "begin", "end", "look"]), writes, small_keys, small_keys)
)


def play(model: Model, steps: Actions) -> None:
    flying: dict[bytes, bytes | None] | None = None
    for action, values, start, prefix in steps:
        if action == "apply":
            model.table.apply(values)
            for key, value in values.items():
                model.values.pop(key, None)
                if value is not None:
                    model.values[key] = value
        elif action == "begin" and flying is None:
            flying = dict(model.table.take())
        elif action == "end" and flying is not None:
            model.table.persist(flying, {}, 1)
            model.table.settle()
            flying = None
        else:
            model.check(start, prefix)
        for key in values:
            assert model.table.get(key) == model.values.get(key)
    model.check(b"", b"")


@given(actions)
def test_the_layers_over_memory_read_like_one_dict(
    steps: Actions,
) -> None:
    play(Model(MemoryStore()), steps)


@settings(max_examples=25, deadline=None)
@given(steps=actions)
def test_the_layers_over_rocksdb_read_like_one_dict(
    steps: Actions, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = RocksStore(tmp_path_factory.mktemp("rocks") / "s", shared_cache(), DAY_S)
    play(Model(store), steps)
    store.close()


@given(st.binary(max_size=4), st.binary(max_size=5))
def test_keys_with_a_prefix_lie_before_its_end(prefix: bytes, key: bytes) -> None:
    end = after_prefix(prefix)
    assert key.startswith(prefix) == (key >= prefix and (end is None or key < end))


@given(st.lists(st.tuples(st.booleans(), small_keys)))
def test_a_sorted_map_lists_each_key_once(changes: list[tuple[bool, bytes]]) -> None:
    ordered = SortedMap()
    for add, key in changes:
        if add:
            ordered.update({key: b"v"})
        else:
            ordered.remove([key])
        assert ordered.keys_from(b"", None) == sorted(ordered.data)


def test_a_closed_table_is_written_no_more(tmp_path: Path) -> None:
    closed: list[str] = []

    class Watched(MemoryStore):
        def close(self) -> None:
            closed.append("closed")

        write: Callable[..., None] = lambda self, *args: pytest.fail("written after close")

    table = TablePartition("t", "c", 0, Watched())
    table.close()
    table.close()
    table.persist({b"a": b"1"}, {}, 1)
    assert closed == ["closed"]
