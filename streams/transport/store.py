"""Where the committed entries of one table partition live, and the store that keeps them in memory."""

import threading
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

from streams.transport.sorted_map import SortedMap

Entries = Mapping[bytes, bytes | None]
"""New values by key; None removes the key."""
NONE: Entries = MappingProxyType({})


class Store(Protocol):
    """Committed entries, the offset up to which they reflect the changelog, and notes of the engine.

    Only one thread writes at a time; the loop reads while another thread writes.
    """

    offset: int
    """Changelog offset from which a recovery has to read on; 0 for an empty store."""

    def get(self, key: bytes) -> bytes | None:
        """The committed value."""
        ...

    def scan(self, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < stop in key order; keys written meanwhile may show either state."""
        ...

    def count(self) -> int:
        """How many keys there are. The first call may read them all."""
        ...

    def notes(self) -> dict[bytes, bytes]:
        """What `write` was given as notes, newest values."""
        ...

    def local_get(self, key: bytes) -> bytes | None:
        """A value of the local entries: derived from the others, in no changelog (see `index`)."""
        ...

    def local_scan(self, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Local entries with start <= key < stop in key order."""
        ...

    def clear_local(self) -> None:
        """Forget the local entries."""
        ...

    def write(
        self, entries: Entries, notes: Mapping[bytes, bytes], offset: int | None, local: Entries = NONE
    ) -> None:
        """Apply entries, notes, offset and local entries together: after a crash all of it or nothing."""
        ...

    def clear(self) -> None:
        """Forget everything: the changelog does not continue where this store ends."""
        ...

    def close(self) -> None:
        """Release files; the data stays."""
        ...


class MemoryStore:
    """Entries in a dict: gone with the partition, rebuilt from the whole changelog."""

    _PAGE = 256

    def __init__(self) -> None:
        self.offset = 0
        self._map, self._local = SortedMap(), SortedMap()
        self._notes: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def get(self, key: bytes) -> bytes | None:
        """The committed value."""
        return self._map.data.get(key)

    def scan(self, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Entries in key order, read page by page."""
        return self._pages(self._map, start, stop)

    def local_get(self, key: bytes) -> bytes | None:
        """A local value."""
        return self._local.data.get(key)

    def local_scan(self, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Local entries in key order, read page by page."""
        return self._pages(self._local, start, stop)

    def clear_local(self) -> None:
        """Forget the local entries."""
        with self._lock:
            self._local.remove(list(self._local.data))

    def _pages(self, of: SortedMap, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        while True:
            with self._lock:
                page = [(key, of.data[key]) for key in of.keys_from(start, stop, self._PAGE)]
            for key, value in page:
                if value is not None:
                    yield key, value
            if len(page) < self._PAGE:
                return
            start = page[-1][0] + b"\0"

    def count(self) -> int:
        """How many keys there are."""
        return len(self._map.data)

    def notes(self) -> dict[bytes, bytes]:
        """The engine's notes."""
        return dict(self._notes)

    def write(
        self, entries: Entries, notes: Mapping[bytes, bytes], offset: int | None, local: Entries = NONE
    ) -> None:
        """Apply all of it."""
        with self._lock:
            for kept, changed in ((self._map, entries), (self._local, local)):
                kept.update({key: value for key, value in changed.items() if value is not None})
                kept.remove(key for key, value in changed.items() if value is None)
            self._notes.update(notes)
            if offset is not None:
                self.offset = offset

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._map, self._local, self._notes, self.offset = SortedMap(), SortedMap(), {}, 0

    def close(self) -> None:
        """Nothing to release."""
