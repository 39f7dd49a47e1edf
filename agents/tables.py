"""The tables of a tier's workers, typed: parked jobs, idempotency keys, and the cells of documents.

Writes go to the current step; reads name their partition.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.keys import digest
from schemas.records import Cell, IdempotencyEntry, Parked
from schemas.tiers import Tier
from streams.codec import Codec
from streams.core import rows
from streams.topics import Topology
from streams.transport.app import EngineApp
from streams.transport.index import Index


class ParkedTable:
    """Jobs that cannot run now; its changelog is the tier's retry topic."""

    def __init__(self, app: EngineApp, topology: Topology, tier: Tier, codec: Codec) -> None:
        self._codec = codec
        self._table: Any = app.Table(
            "parked", changelog=topology.retry(tier), index=Index(self._entries_of, rows.VERSION)
        )
        # What was encoded last, with its index entries: they are asked for next, when its step completes.
        self._last: tuple[bytes, tuple[bytes, ...]] = b"", ()

    def put(self, position: bytes, parked: Parked) -> None:
        """Park a job, in the current step."""
        raw = self._codec.encode(parked)
        self._last = raw, rows.entries_of(position, parked)
        self._table[position] = raw

    def remove(self, position: bytes) -> None:
        """The job has left, in the current step."""
        del self._table[position]

    def get(self, partition: int, position: bytes) -> Parked | None:
        """The parked job at a position."""
        raw = self._table.partition(partition).get(position)
        return None if raw is None else self._codec.decode(Parked, raw)

    def scan(self, partition: int, prefix: bytes = b"") -> Iterator[tuple[bytes, Parked]]:
        """The parked jobs of a partition, or of one key, in their order."""
        for position, raw in self._table.partition(partition).scan(prefix, prefix):
            yield position, self._codec.decode(Parked, raw)

    def index(self, partition: int, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Index entries with this prefix from `start` on (`streams/core/rows.py`), with their positions."""
        view: Iterator[tuple[bytes, bytes]] = self._table.partition(partition).index_scan(start, prefix)
        return view

    def _entries_of(self, position: bytes, raw: bytes) -> tuple[bytes, ...]:
        last, entries = self._last
        return entries if raw is last else rows.entries_of(position, self._codec.decode(Parked, raw))


class IdempotencyTable:
    """What is known of the idempotency keys of a partition."""

    def __init__(self, app: EngineApp, topology: Topology, tier: Tier, codec: Codec) -> None:
        self._codec = codec
        self._table: Any = app.Table("idempotency", changelog=topology.idempotency(tier))

    def put(self, key: bytes, entry: IdempotencyEntry) -> None:
        """Remember an effect, in the current step."""
        self._table[key] = self._codec.encode(entry)

    def get(self, partition: int, key: bytes) -> IdempotencyEntry | None:
        """What is known of a key."""
        raw = self._table.partition(partition).get(key)
        return None if raw is None else self._codec.decode(IdempotencyEntry, raw)

    def scan(self, partition: int, start: bytes) -> Iterator[tuple[bytes, IdempotencyEntry]]:
        """The keys from `start` on, in their order."""
        for key, raw in self._table.partition(partition).scan(start):
            yield key, self._codec.decode(IdempotencyEntry, raw)

    def remove(self, key: bytes) -> None:
        """Forget an effect, in the current step."""
        del self._table[key]


class CellsTable:
    """The contents of the cells of every document; a document's cells stand together."""

    def __init__(self, app: EngineApp, topology: Topology, codec: Codec) -> None:
        self._codec = codec
        self._table: Any = app.Table("documents", changelog=topology.documents)

    def put(self, tenant: str | None, document: str, cell: str, content: Cell | None) -> None:
        """Set or empty a cell, in the current step."""
        key = digest(tenant or "", document) + cell.encode()
        if content is None:
            del self._table[key]
        else:
            self._table[key] = self._codec.encode(content)

    def of(self, partition: int, tenant: str | None, document: str) -> Mapping[str, str]:
        """Every cell's content by its id."""
        prefix = digest(tenant or "", document)
        return {
            key[len(prefix) :].decode(): self._codec.decode(Cell, raw).content
            for key, raw in self._table.partition(partition).scan(prefix, prefix)
        }
