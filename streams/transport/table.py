"""A table: raw bytes by key, partitioned like the source topics, kept in a changelog topic."""

from collections.abc import Callable, Iterator, Mapping

from streams.transport.index import Index
from streams.transport.layers import Values
from streams.transport.owned import OwnedPartition
from streams.transport.step import Step, current_step
from streams.transport.table_partition import TablePartition


class Table:
    """Inside a step: that step's partition, with the step's own writes. Elsewhere: `partition(p)`.

    Writes of a step become visible to later steps of the partition when it completes, and to everyone
    else when its transaction is committed.
    """

    def __init__(
        self, name: str, changelog: str, owned: Callable[[], Mapping[int, OwnedPartition]],
        index: Index | None = None,
    ) -> None:  # fmt: skip
        self.name, self.changelog, self.index, self._owned = name, changelog, index, owned

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:
        """The value, or the default. Only inside a step."""
        step = self._step()
        own = step.written(self.name)
        value = own[key] if own is not None and key in own else step.owned.tables[self.name].get(key)
        return default if value is None else value

    def __getitem__(self, key: bytes) -> bytes:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def __setitem__(self, key: bytes, value: bytes) -> None:
        if value is None:
            raise TypeError("a table holds bytes; `del table[key]` removes a key")
        self._step().put(self.name, key, value)

    def __delitem__(self, key: bytes) -> None:
        """Remove the key; one that is not there is no error (and still a tombstone)."""
        self._step().put(self.name, key, None)

    def partition(self, number: int) -> "TableView":
        """Read one partition, inside or outside of a step. Raises LookupError when it is not open here."""
        owned = self._owned().get(number)
        if owned is None:
            raise LookupError(f"partition {number} of table {self.name} is not open here")
        return TableView(owned.tables[self.name], owned)

    def _step(self) -> Step:
        step = current_step()
        if step is None:
            raise RuntimeError(f"table {self.name}: only inside a step (`with step:`); else use partition(p)")
        return step


class TableView:
    """One partition of a table as it is now: completed writes, and the current step's own."""

    def __init__(self, table: TablePartition, owned: OwnedPartition) -> None:
        self._table, self._owned = table, owned

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:
        """The newest value."""
        own = self._own()
        value = own[key] if own is not None and key in own else self._table.get(key)
        return default if value is None else value

    def scan(self, start: bytes = b"", prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Entries in key order from `start` on, those whose key starts with `prefix`.

        Exact as long as the caller does not await in between; reads as it goes, so a few entries of a
        large table are cheap.
        """
        return self._table.scan(start, prefix, self._own())

    def index_scan(self, start: bytes = b"", prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Index entries in their order from `start` on, those that start with `prefix`, with their keys.

        What the current step wrote shows when it is complete.
        """
        return self._table.index_scan(start, prefix)

    def count(self) -> int:
        """How many keys there are; the first call on a RocksDB store reads them all."""
        return self._table.count(self._own())

    def _own(self) -> Values | None:
        step = current_step()
        if step is None or step.owned is not self._owned:
            return None
        return step.written(self._table.table)
