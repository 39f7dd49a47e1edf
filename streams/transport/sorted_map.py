"""A mapping of bytes that can be read in key order."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping


def after_prefix(prefix: bytes) -> bytes | None:
    """The first key behind all keys that start with the prefix; None when there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


class SortedMap:
    """A dict plus a sorted list of its keys, which is kept only from the first range read on.

    A removed key stays in the list until half of the list is stale; range reads skip it.
    """

    __slots__ = ("_added", "_keys", "data")

    _INSORT_LIMIT = 64

    def __init__(self) -> None:
        self.data: dict[bytes, bytes | None] = {}
        self._keys: list[bytes] | None = None
        self._added: list[bytes] = []

    def update(self, values: Mapping[bytes, bytes | None]) -> None:
        """Set the keys; a None value is kept as a value."""
        if self._keys is not None:
            self._added += [key for key in values if key not in self.data]
        self.data.update(values)

    def remove(self, keys: Iterable[bytes]) -> None:
        """Forget the keys."""
        for key in keys:
            self.data.pop(key, None)

    def keys_from(self, start: bytes, stop: bytes | None, limit: int | None = None) -> list[bytes]:
        """Keys with start <= key < stop in order, `limit` of them at most."""
        return list(self._walk(start, stop, limit))

    def _walk(self, start: bytes, stop: bytes | None, limit: int | None) -> Iterator[bytes]:
        keys, last, found = self._settled(), None, 0
        for at in range(bisect_left(keys, start), len(keys)):
            key = keys[at]
            if (stop is not None and key >= stop) or found == limit:
                return
            if key != last and key in self.data:
                yield key
                found += 1
            last = key

    def _settled(self) -> list[bytes]:
        if self._keys is None or len(self._keys) > 2 * len(self.data) + 64:
            self._keys = sorted(self.data)
        elif len(self._added) <= self._INSORT_LIMIT:
            for key in self._added:
                insort(self._keys, key)
        else:
            self._keys += self._added
            self._keys.sort()
        self._added = []
        return self._keys
