"""A secondary index of a table: where its rows stand in an order of the application's own.

Local and derived: the entries stand in the store beside the rows, written in the same batch, never in the
changelog. A store whose index is missing or of another version gets it anew from its rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from streams.transport.layers import Values

IndexOf = Callable[[bytes, bytes], Sequence[bytes]]
"""The index entries of a row; the same row always has the same ones."""

_ENTRY, _ROW, VERSION = b"i", b"k", b"v"
_LENGTH = 2


@dataclass(frozen=True, slots=True)
class Index:
    """`of(key, value)` gives a row's entries; another `version` says that `of` has changed."""

    of: IndexOf
    version: int = 1

    def changes(self, values: Values, get: Callable[[bytes], bytes | None]) -> dict[bytes, bytes | None]:
        """What becomes of the index when rows get new values; `get` reads the index as it was before."""
        changed: dict[bytes, bytes | None] = {}
        for key, value in values.items():
            old = _load(get(_ROW + key))
            new = () if value is None else tuple(self.of(key, value))
            if old == new:
                continue
            for entry in old:
                changed[_ENTRY + entry + key] = None
            for entry in new:
                changed[_ENTRY + entry + key] = len(entry).to_bytes(_LENGTH, "big")
            changed[_ROW + key] = _dump(new) if new else None
        return changed

    @property
    def mark(self) -> bytes:
        """What a store says that holds this index."""
        return b"%d" % self.version


def bounds(start: bytes, stop: bytes | None) -> tuple[bytes, bytes]:
    """Where the index entries between two stand in the store."""
    return _ENTRY + start, _ROW[:1] if stop is None else _ENTRY + stop


def entries(found: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Index entry and key of the row, from what a store holds."""
    for stored, length in found:
        end = 1 + int.from_bytes(length, "big")
        yield stored[1:end], stored[end:]


def _dump(row: Sequence[bytes]) -> bytes:
    return b"".join(len(entry).to_bytes(_LENGTH, "big") + entry for entry in row)


def _load(stored: bytes | None) -> tuple[bytes, ...]:
    row, at = [], 0
    while stored is not None and at < len(stored):
        begin = at + _LENGTH
        at = begin + int.from_bytes(stored[at:begin], "big")
        row.append(stored[begin:at])
    return tuple(row)
