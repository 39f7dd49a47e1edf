"""One partition of a table: committed entries below, completed but uncommitted ones above."""

import threading
from collections.abc import Iterator, Mapping

from streams.transport import index as stored
from streams.transport.index import Index
from streams.transport.layers import Layers, Values
from streams.transport.sorted_map import after_prefix
from streams.transport.store import Store

_REBUILT_AT_ONCE = 5_000


class TablePartition:
    """Reads see the newest completed value; writes come from completed steps only.

    What is not committed lies in `Layers` over the store and vanishes with the object when a transaction is
    lost, so the store never holds anything that was not committed.
    """

    def __init__(
        self, table: str, changelog: str, partition: int, store: Store, keeps_positions: bool = False,
        index: Index | None = None,
    ) -> None:  # fmt: skip
        self.table, self.changelog, self.partition, self.store = table, changelog, partition, store
        self.keeps_positions = keeps_positions
        """Whether its changelog holds the source positions, too (see `positions`)."""
        self._index = index
        self._rows = Layers(store.get, store.scan)
        self._local = Layers(store.local_get, store.local_scan)
        self._lock = threading.Lock()
        self._closed = False

    @property
    def has_new(self) -> bool:
        """Whether there is anything for the next transaction."""
        return self._rows.has_new

    def get(self, key: bytes) -> bytes | None:
        """The newest completed value."""
        return self._rows.get(key)

    def scan(self, start: bytes, prefix: bytes, own: Values | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Entries from `start` on whose key starts with `prefix`, in key order; `own` lies over them.

        Exact as long as the caller does not await in between.
        """
        return self._rows.scan(max(start, prefix), after_prefix(prefix), own)

    def index_scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Index entries from `start` on that start with `prefix`, each with its row's key, in their order."""
        low, high = stored.bounds(max(start, prefix), after_prefix(prefix))
        return stored.entries(self._local.scan(low, high))

    def count(self, own: Values | None = None) -> int:
        """How many keys there are; costs a read per uncommitted key."""
        over = {**self._rows.uncommitted, **(own or {})}
        difference = sum(
            (value is not None) - (self.store.get(key) is not None) for key, value in over.items()
        )
        return self.store.count() + difference

    def apply(self, values: Values) -> None:
        """A step that wrote these values is complete."""
        if self._index is not None:
            self._local.update(self._index.changes(values, self._local.get))
        self._rows.update(values)

    def take(self) -> Values:
        """What the next transaction carries; only after the one before ended (`settle`)."""
        self._local.take()
        return self._rows.take()

    def persist(self, values: Values, notes: Mapping[bytes, bytes], offset: int | None) -> None:
        """The transaction is committed: into the store. Called in the transaction thread."""
        with self._lock:
            if not self._closed:
                self.store.write(values, notes, offset, self._local.flying)

    def settle(self) -> None:
        """The values taken are in the store."""
        self._rows.settle()
        self._local.settle()

    def prepare(self) -> None:
        """Give the store its index if it has none, or another. Before `restore`, in the `recover` thread."""
        mark = None if self._index is None else self._index.mark
        if self.store.local_get(stored.VERSION) == mark:
            return
        self.store.clear_local()
        batch: dict[bytes, bytes | None] = {}
        for key, value in self.store.scan(b"", None) if self._index is not None else ():
            batch[key] = value
            if len(batch) >= _REBUILT_AT_ONCE:
                self._rebuild(batch)
                batch = {}
        self._rebuild(batch)
        if mark is not None:
            self.store.write({}, {}, None, {stored.VERSION: mark})

    def restore(self, values: Values, notes: Mapping[bytes, bytes], offset: int) -> None:
        """Records of the changelog, into the store. In the `recover` thread, before anything is applied."""
        self.store.write(values, notes, offset, self._changes(values))

    def _rebuild(self, rows: Values) -> None:
        self.store.write({}, {}, None, self._changes(rows))

    def _changes(self, values: Values) -> Values:
        return {} if self._index is None else self._index.changes(values, self.store.local_get)

    def close(self) -> None:
        """Release the store; what was not committed is gone."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.store.close()
