"""Where in a topic a document, a tenant or a job occurs: a file per topic, made when asked, then extended.

Kept by who replays, not by the sink: so it costs nothing while jobs run, covers every topic of every tier,
and can be thrown away. It holds blocks of 256 offsets, not records: a tenant with a million records takes
four thousand rows. It belongs to one incarnation of a topic; one that was made anew gets another file.
"""

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from connectors.kafka.reading import Reader, Span
from connectors.kafka.replay_selection import KEYS, Selector

BLOCK = 256
# Reading on over a gap is cheaper than a new fetch.
_BRIDGED = 2 * BLOCK
_SAVED_RECORDS = 100_000
_TABLES = """
create table if not exists occurrences (
    key integer not null, partition integer not null, block integer not null,
    primary key (key, partition, block)) without rowid;
create table if not exists covered (
    partition integer primary key, start integer not null, next integer not null);
"""

Occurrence = tuple[int, int, int]
"""A key's digest, a partition, a block."""


class ReplayIndex:
    """The index of one topic. A context manager; several processes may share the file."""

    def __init__(self, folder: Path, topic: str, topic_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^a-zA-Z0-9._-]", "_", f"{topic}@{topic_id}")
        self.path = folder / f"{name}.sqlite"
        self._file = sqlite3.connect(self.path, timeout=60.0, isolation_level=None)
        self._file.execute("pragma journal_mode = wal")
        # A cache: what power loss takes is read again, and a transaction still holds both or neither.
        self._file.execute("pragma synchronous = normal")
        self._file.executescript(_TABLES)

    def __enter__(self) -> "ReplayIndex":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def uncovered(self, spans: Iterable[Span]) -> list[Span]:
        """What of each span the index does not hold yet. What it holds stays one piece per partition."""
        missing = []
        for span in spans:
            start, following = self._covered(span.partition) or (span.start, span.start)
            if not start <= span.start <= following:
                # Another part of the log: covered anew from there on.
                self._file.execute("delete from covered where partition = ?", (span.partition,))
                following = span.start
            if following < span.end:
                missing.append(Span(span.topic, span.partition, following, span.end))
        return missing

    def extend(self, occurrences: Iterable[Occurrence], covered: Sequence[Span]) -> None:
        """Take in what was read, and that these spans are covered now: both or neither."""
        self._file.execute("begin immediate")
        try:
            self._file.executemany("insert or ignore into occurrences values (?, ?, ?)", occurrences)
            self._file.executemany(
                "insert into covered values (?, ?, ?) on conflict (partition) do update"
                " set next = max(next, excluded.next) where excluded.start <= next",
                [(span.partition, span.start, span.end) for span in covered],
            )
        except BaseException:
            self._file.execute("rollback")
            raise
        self._file.execute("commit")

    def narrowed(self, spans: Iterable[Span], keys: Sequence[int]) -> list[Span]:
        """The parts of the spans in whose blocks ALL the keys occur; every span must be covered."""
        found = []
        for span in spans:
            blocks = set.intersection(*(self._blocks(key, span) for key in keys))
            found += _joined(span, sorted(blocks))
        return found

    def _blocks(self, key: int, span: Span) -> set[int]:
        rows = self._file.execute(
            "select block from occurrences where key = ? and partition = ? and block between ? and ?",
            (key, span.partition, span.start // BLOCK, span.end // BLOCK),
        )
        return {block for (block,) in rows}

    def _covered(self, partition: int) -> tuple[int, int] | None:
        found = self._file.execute("select start, next from covered where partition = ?", (partition,))
        row: tuple[int, int] | None = found.fetchone()
        return row


def key_of(name: str, text: str) -> int:
    """The digest of, say, a document's id. Two ids of one digest only cost reading more than needed."""
    raw = hashlib.blake2b(f"{name}\x00{text}".encode(), digest_size=8).digest()
    return int.from_bytes(raw, "big", signed=True)


def cover(
    index: ReplayIndex,
    reader: Reader,
    selector: Selector,
    spans: Sequence[Span],
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Read what the index does not hold of the spans; the records read. Stopped, it goes on where it was."""
    missing = {span.partition: span for span in index.uncovered(spans)}
    found: set[Occurrence] = set()
    reached: dict[int, int] = {}
    records = unsaved = 0
    for batch in reader.read(missing.values()):
        for message in batch:
            partition, offset = message.partition() or 0, message.offset() or 0
            value = message.value()
            said = selector.said(value) if isinstance(value, bytes) else {}
            block = offset // BLOCK
            found.update((key_of(name, said[name]), partition, block) for name in KEYS if name in said)
            reached[partition] = offset + 1
        records += len(batch)
        unsaved += len(batch)
        progress(len(batch))
        if unsaved >= _SAVED_RECORDS:
            index.extend(found, [_until(missing[number], next_) for number, next_ in reached.items()])
            found, reached, unsaved = set(), {}, 0
    index.extend(found, list(missing.values()))
    return records


def _until(span: Span, following: int) -> Span:
    return Span(span.topic, span.partition, span.start, following)


def _joined(span: Span, blocks: list[int]) -> list[Span]:
    """Blocks as spans within one; small gaps are read over."""
    found: list[Span] = []
    for block in blocks:
        start, end = max(span.start, block * BLOCK), min(span.end, (block + 1) * BLOCK)
        if found and start - found[-1].end <= _BRIDGED:
            found[-1] = Span(span.topic, span.partition, found[-1].start, end)
        elif start < end:
            found.append(Span(span.topic, span.partition, start, end))
    return found
