"""The index of a table: what it lists is always what its rows say, over every store and through restarts."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.transport.index import Index
from streams.transport.rocks import RocksStore, shared_cache
from streams.transport.store import MemoryStore, Store
from streams.transport.table_partition import TablePartition

DAY_S = 86_400.0


def letters(key: bytes, value: bytes) -> Sequence[bytes]:
    """A row stands under each byte of its value."""
    return [value[at : at + 1] for at in range(len(value))]


def doubled(key: bytes, value: bytes) -> Sequence[bytes]:
    return [value + value]


def a_table(store: Store, index: Index | None) -> TablePartition:
    table = TablePartition("t", "c", 0, store, index=index)
    table.prepare()
    return table


def commit(table: TablePartition, values: dict[bytes, bytes | None]) -> None:
    table.apply(values)
    table.persist(table.take(), {}, 1)
    table.settle()


def expected(
    rows: dict[bytes, bytes], of: Callable[[bytes, bytes], Sequence[bytes]]
) -> list[tuple[bytes, bytes]]:
    return sorted(
        ((entry, key) for key, value in rows.items() for entry in set(of(key, value))),
        key=lambda e: e[0] + e[1],
    )


keys = st.sampled_from([b"k1", b"k2", b"k3", b"l"])
values = st.dictionaries(keys, st.one_of(st.none(), st.text("abc", max_size=3).map(str.encode)), max_size=4)
steps = st.lists(st.tuples(st.sampled_from(["apply", "begin", "end"]), values), max_size=12)


def play(store: Store, actions: list[tuple[str, dict[bytes, bytes | None]]]) -> None:
    table, rows, flying = a_table(store, Index(letters)), dict[bytes, bytes](), None
    for action, changed in actions:
        if action == "apply":
            table.apply(changed)
            for key, value in changed.items():
                rows.pop(key, None)
                if value is not None:
                    rows[key] = value
        elif action == "begin" and flying is None:
            flying = table.take()
        elif action == "end" and flying is not None:
            table.persist(flying, {}, 1)
            table.settle()
            flying = None
        assert list(table.index_scan(b"", b"")) == expected(rows, letters)
        assert list(table.index_scan(b"b", b"b")) == [e for e in expected(rows, letters) if e[0] == b"b"]


@given(steps)
def test_the_index_over_memory_lists_the_newest_rows(
    actions: list[tuple[str, dict[bytes, bytes | None]]],
) -> None:
    play(MemoryStore(), actions)


@settings(max_examples=25, deadline=None)
@given(actions=steps)
def test_the_index_over_rocksdb_lists_the_newest_rows(
    actions: list[tuple[str, dict[bytes, bytes | None]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = RocksStore(tmp_path_factory.mktemp("rocks") / "s", shared_cache(), DAY_S)
    play(store, actions)
    store.close()


def on_disk(path: Path) -> RocksStore:
    return RocksStore(path / "s", shared_cache(), DAY_S)


ROWS: dict[bytes, bytes | None] = {b"%04d" % n: b"ab"[n % 2 : n % 2 + 1] for n in range(12_000)}


def test_a_store_without_an_index_gets_one_from_its_rows(tmp_path: Path) -> None:
    store = on_disk(tmp_path)
    commit(a_table(store, None), ROWS)
    store.close()
    table = a_table(store := on_disk(tmp_path), Index(letters))
    assert len(list(table.index_scan(b"", b"a"))) == 6_000
    assert next(table.index_scan(b"", b"b")) == (b"b", b"0001")
    store.close()


def test_an_index_of_another_version_is_built_anew(tmp_path: Path) -> None:
    store = on_disk(tmp_path)
    commit(a_table(store, Index(letters)), {b"k": b"ab"})
    store.close()
    table = a_table(store := on_disk(tmp_path), Index(doubled, version=2))
    assert list(table.index_scan(b"", b"")) == [(b"abab", b"k")]
    store.close()


def test_an_index_that_nobody_kept_up_to_date_is_not_trusted(tmp_path: Path) -> None:
    store = on_disk(tmp_path)
    commit(a_table(store, Index(letters)), {b"k": b"a"})
    commit(a_table(store, None), {b"k": b"b"})
    assert list(a_table(store, Index(letters)).index_scan(b"", b"")) == [(b"b", b"k")]
    store.close()


@pytest.mark.parametrize("kind", ["memory", "rocksdb"])
def test_records_of_the_changelog_are_indexed(kind: str, tmp_path: Path) -> None:
    store: Store = MemoryStore() if kind == "memory" else on_disk(tmp_path)
    table = a_table(store, Index(letters))
    table.restore({b"k": b"a", b"l": b"b"}, {}, 2)
    table.restore({b"k": None, b"l": b"c"}, {}, 4)
    assert list(table.index_scan(b"", b"")) == [(b"c", b"l")]
    store.close()


@pytest.mark.parametrize("kind", ["memory", "rocksdb"])
def test_a_cleared_store_has_no_index_left(kind: str, tmp_path: Path) -> None:
    store: Store = MemoryStore() if kind == "memory" else on_disk(tmp_path)
    commit(a_table(store, Index(letters)), {b"k": b"a"})
    store.clear()
    table = a_table(store, Index(letters))
    assert list(table.index_scan(b"", b"")) == []
    table.restore({b"l": b"b"}, {}, 1)
    assert list(table.index_scan(b"", b"")) == [(b"b", b"l")]
    store.close()
