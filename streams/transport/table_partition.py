"""One partition of a table: committed entries below, completed but uncommitted ones above."""

import threading
from collections.abc import Iterator, Mapping

from streams.transport.sorted_map import SortedMap, after_prefix
from streams.transport.store import Store

Values = Mapping[bytes, bytes | None]


class TablePartition:
    """Reads see the newest completed value; writes come from completed steps only.

    Two layers lie over the store: `fresh` (completed since the last transaction began) and `flying` (in the
    running transaction). They vanish with the object when a transaction is lost, so the store never holds
    anything that was not committed.
    """

    def __init__(
        self, table: str, changelog: str, partition: int, store: Store, keeps_positions: bool = False
    ) -> None:
        self.table, self.changelog, self.partition, self.store = table, changelog, partition, store
        self.keeps_positions = keeps_positions
        """Whether its changelog holds the source positions, too (see `positions`)."""
        self._fresh, self._flying = SortedMap(), SortedMap()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def has_new(self) -> bool:
        """Whether there is anything for the next transaction."""
        return bool(self._fresh.data)

    def get(self, key: bytes) -> bytes | None:
        """The newest completed value."""
        for layer in (self._fresh.data, self._flying.data):
            if key in layer:
                return layer[key]
        return self.store.get(key)

    def scan(self, start: bytes, prefix: bytes, own: Values | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Entries from `start` on whose key starts with `prefix`, in key order; `own` lies over them.

        Exact as long as the caller does not await in between.
        """
        start, stop = max(start, prefix), after_prefix(prefix)
        over: dict[bytes, bytes | None] = {}
        for layer in (self._flying, self._fresh):
            over.update((key, layer.data[key]) for key in layer.keys_from(start, stop))
        for key, value in (own or {}).items():
            if key >= start and (stop is None or key < stop):
                over[key] = value
        return _merge(self.store.scan(start, stop), sorted(over.items()))

    def count(self, own: Values | None = None) -> int:
        """How many keys there are; costs a read per uncommitted key."""
        over = {**self._flying.data, **self._fresh.data, **(own or {})}
        difference = sum(
            (value is not None) - (self.store.get(key) is not None) for key, value in over.items()
        )
        return self.store.count() + difference

    def apply(self, values: Values) -> None:
        """A step that wrote these values is complete."""
        self._fresh.update(values)

    def take(self) -> Values:
        """What the next transaction carries; only after the one before ended (`settle`)."""
        self._flying, self._fresh = self._fresh, SortedMap()
        return self._flying.data

    def persist(self, values: Values, notes: Mapping[bytes, bytes], offset: int | None) -> None:
        """The transaction is committed: into the store. Called in the transaction thread."""
        with self._lock:
            if not self._closed:
                self.store.write(values, notes, offset)

    def settle(self) -> None:
        """The values taken are in the store."""
        self._flying = SortedMap()

    def close(self) -> None:
        """Release the store; what was not committed is gone."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.store.close()


def _merge(
    below: Iterator[tuple[bytes, bytes]], over: list[tuple[bytes, bytes | None]]
) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for key, value in below:
        while at < len(over) and over[at][0] < key:
            yield from _present(over[at])
            at += 1
        if at < len(over) and over[at][0] == key:
            yield from _present(over[at])
            at += 1
        else:
            yield key, value
    for entry in over[at:]:
        yield from _present(entry)


def _present(entry: tuple[bytes, bytes | None]) -> Iterator[tuple[bytes, bytes]]:
    key, value = entry
    if value is not None:
        yield key, value
