"""The store on disk: one RocksDB per table and partition.

A write is one batch: entries, notes and changelog offset are there together or not at all. The write-ahead
log is not synced: what a process wrote survives its SIGKILL (the kernel has it); after a power failure the
store is at an earlier batch, with the offset of that batch, and recovery reads the rest from the changelog.
"""

import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
)

from streams.transport.store import NONE, Entries

log = logging.getLogger(__name__)

_ENTRY, _LOCAL, _NOTE, _OFFSET = b"e", b"l", b"n", b"o"
_DELETED, _IN_A_ROW_OF = 64, 128
_ATTACHED = "attached"
_LOCK_WAIT_S = 10.0
_TOUCH_S = 600.0


class RocksStore:
    """Entries under `e`, local ones under `l`, notes under `n`, the offset under `o`: no key can collide."""

    def __init__(self, path: Path, cache: Cache, max_age_s: float) -> None:
        self.path = path
        _discard_if_stale(path, max_age_s)
        path.mkdir(parents=True, exist_ok=True)
        self._cache = cache
        self._db = _open(path, cache)
        self._counted: int | None = None
        self.offset = int(self._db.get(_OFFSET) or 0)
        self.touch()

    def touch(self) -> None:
        """Note that the store is attached now; its age counts from here."""
        (self.path / _ATTACHED).touch()
        self._touched = time.monotonic()

    def get(self, key: bytes) -> bytes | None:
        """The committed value. Reads from disk when the cache has not got it."""
        value: bytes | None = self._db.get(_ENTRY + key)
        return value

    def scan(self, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Entries in key order, as they were when the scan began."""
        return self._scan(_ENTRY, start, stop)

    def local_get(self, key: bytes) -> bytes | None:
        """A local value."""
        value: bytes | None = self._db.get(_LOCAL + key)
        return value

    def local_scan(self, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Local entries in key order, as they were when the scan began."""
        return self._scan(_LOCAL, start, stop)

    def clear_local(self) -> None:
        """Forget the local entries."""
        self._db.delete_range(_LOCAL, _after(_LOCAL))

    def _scan(self, space: bytes, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        rows = self._db.iter()
        rows.seek(space + start)
        end = _after(space) if stop is None else space + stop
        while rows.valid():
            key: bytes = rows.key()
            if key >= end:
                return
            yield key[1:], rows.value()
            rows.next()

    def count(self) -> int:
        """How many keys there are: the first call reads all keys, from then on writes keep count."""
        if self._counted is None:
            self._counted = sum(1 for _ in self.scan(b"", None))
        return self._counted

    def notes(self) -> dict[bytes, bytes]:
        """The engine's notes."""
        found: dict[bytes, bytes] = {}
        rows = self._db.iter()
        rows.seek(_NOTE)
        while rows.valid() and rows.key().startswith(_NOTE):
            found[rows.key()[1:]] = rows.value()
            rows.next()
        return found

    def write(
        self, entries: Entries, notes: Mapping[bytes, bytes], offset: int | None, local: Entries = NONE
    ) -> None:
        """Apply all of it in one RocksDB batch."""
        if self._counted is not None:
            self._counted += sum(
                (value is not None) - (self.get(key) is not None) for key, value in entries.items()
            )
        batch = WriteBatch(raw_mode=True)
        for space, changed in ((_ENTRY, entries), (_LOCAL, local)):
            for key, value in changed.items():
                if value is None:
                    batch.delete(space + key)
                else:
                    batch.put(space + key, value)
        for key, note in notes.items():
            batch.put(_NOTE + key, note)
        if offset is not None:
            batch.put(_OFFSET, b"%d" % offset)
            self.offset = offset
        self._db.write(batch)
        if time.monotonic() > self._touched + _TOUCH_S:
            self.touch()

    def clear(self) -> None:
        """Delete the files and begin anew."""
        self._db.close()
        shutil.rmtree(self.path)
        self.path.mkdir(parents=True)
        self._db, self._counted, self.offset = _open(self.path, self._cache), None, 0
        self.touch()

    def close(self) -> None:
        """Release the files and their lock."""
        self.touch()
        self._db.close()


def _after(space: bytes) -> bytes:
    """The first key behind a space."""
    return bytes([space[0] + 1])


def shared_cache(size_bytes: int = 32 << 20) -> Cache:
    """One small block cache for all stores of the process: RocksDB's default is one large one per store."""
    return Cache(size_bytes)


def _open(path: Path, cache: Cache) -> Rdict:
    """Open the database; wait for the lock of a predecessor that is just dying.

    A database that cannot be read is thrown away: the changelog has everything.
    """
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            return Rdict(str(path / "db"), _options(cache))
        except Exception as error:
            if "lock" in str(error).lower():
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            elif (path / "db").exists():
                log.error("store %s cannot be read, rebuilding it from its changelog: %s", path, error)
                shutil.rmtree(path / "db")
            else:
                raise


def _options(cache: Cache) -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_bloom_filter(10, block_based=False)
    table.set_cache_index_and_filter_blocks(True)
    # In pages: the one block of a large file would exceed a shard of the cache and be read anew each time.
    table.set_index_type(BlockBasedIndexType.two_level_index_search())
    table.set_partition_filters(True)
    table.set_metadata_block_size(4096)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    # Up to two for each table of each partition; they are small, so more files wait for their merge.
    options.set_write_buffer_size(1 << 19)
    options.set_max_write_buffer_number(2)
    options.set_level_zero_file_num_compaction_trigger(8)
    options.set_max_open_files(64)
    options.set_keep_log_file_num(2)
    options.set_max_background_jobs(2)
    # A row that waits its turn leaves a hole where the next one is looked for.
    options.add_compact_on_deletion_collector_factory(_IN_A_ROW_OF, _DELETED, 0.0)
    options.set_compression_type(DBCompressionType.lz4())
    return options


def _discard_if_stale(path: Path, max_age_s: float) -> None:
    attached = path / _ATTACHED
    if not path.exists():
        return
    age_s = time.time() - attached.stat().st_mtime if attached.exists() else None
    if age_s is None or age_s > max_age_s:
        log.warning("store %s was not attached for %s s, rebuilding it from its changelog", path, age_s)
        shutil.rmtree(path)


def store_path(state_dir: Path, transactional_id: str, table: str, partition: int) -> Path:
    """Where a process keeps one partition of one table; never shared between processes."""
    return Path(os.path.abspath(state_dir)) / transactional_id / table / str(partition)
