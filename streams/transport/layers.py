"""Completed but uncommitted values over committed ones, read as one ordered mapping."""

from collections.abc import Callable, Iterator, Mapping

from streams.transport.sorted_map import SortedMap

Values = Mapping[bytes, bytes | None]
Pairs = Iterator[tuple[bytes, bytes]]


class Layers:
    """Two layers over a store: `fresh` (completed since the last transaction began) and `flying` (in the
    running transaction). A None in a layer removes the key below it."""

    __slots__ = ("_flying", "_fresh", "_get", "_scan")

    def __init__(
        self, get: Callable[[bytes], bytes | None], scan: Callable[[bytes, bytes | None], Pairs]
    ) -> None:
        self._get, self._scan = get, scan
        self._fresh, self._flying = SortedMap(), SortedMap()

    @property
    def has_new(self) -> bool:
        """Whether there is anything for the next transaction."""
        return bool(self._fresh.data)

    @property
    def flying(self) -> Values:
        """What the running transaction carries."""
        return self._flying.data

    @property
    def uncommitted(self) -> dict[bytes, bytes | None]:
        """Both layers as one."""
        return {**self._flying.data, **self._fresh.data}

    def get(self, key: bytes) -> bytes | None:
        """The newest value."""
        for layer in (self._fresh.data, self._flying.data):
            if key in layer:
                return layer[key]
        return self._get(key)

    def scan(self, start: bytes, stop: bytes | None, own: Values | None = None) -> Pairs:
        """Pairs with start <= key < stop in key order; `own` lies over them."""
        over: dict[bytes, bytes | None] = {}
        for layer in (self._flying, self._fresh):
            if layer.data:
                over.update((key, layer.data[key]) for key in layer.keys_from(start, stop))
        for key, value in (own or {}).items():
            if key >= start and (stop is None or key < stop):
                over[key] = value
        below = self._scan(start, stop)
        return _merge(below, sorted(over.items())) if over else below

    def update(self, values: Values) -> None:
        """A step that wrote these values is complete."""
        self._fresh.update(values)

    def take(self) -> Values:
        """What the next transaction carries; only after the one before ended (`settle`)."""
        self._flying, self._fresh = self._fresh, SortedMap()
        return self._flying.data

    def settle(self) -> None:
        """The values taken are in the store."""
        self._flying = SortedMap()


def _merge(below: Pairs, over: list[tuple[bytes, bytes | None]]) -> Pairs:
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


def _present(entry: tuple[bytes, bytes | None]) -> Pairs:
    key, value = entry
    if value is not None:
        yield key, value
