"""Compares what Postgres holds with what the sink has passed: sums first, row by row where they differ.

A minute of more rows than memory should hold is summed again by slices of its jobs' ids, and only the slices
that differ are compared row by row.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from connectors.audit.books import MINUTE_MS, Extent, Place, Sums, extents
from connectors.audit.judge import Finding, Where
from connectors.audit.parts import AT_ONCE, Part, parts, slice_of, sliced
from connectors.audit.row_sums import (
    JOBS,
    LETTERS,
    TRANSITIONS,
    RowKey,
    RowSums,
    acceptance_digest,
    envelope_digest,
    letter_digest,
    transition_digest,
)
from connectors.audit.snapshot import Snapshot
from connectors.kafka.reading import Reader, Span
from connectors.postgres.rows import clean
from schemas.commands import is_command
from schemas.errors import ContractError
from schemas.records import DeadLetter, Job, Lifecycle
from streams.codec import Codec

Key = tuple[Any, ...]
Digested = tuple[int, Where]


class RowCheck:
    """One comparison. `records` are the sink's topics and what their records are."""

    def __init__(
        self, snapshot: Snapshot, reader: Reader, codec: Codec, records: Mapping[str, type[Any]],
        at_once: int = AT_ONCE,
    ) -> None:  # fmt: skip
        self._at_once = at_once
        self._snapshot, self._reader, self._codec, self._records = snapshot, reader, codec, records

    def findings(self, rows: RowSums, sink: Mapping[Place, int]) -> Iterator[Finding]:
        """Everything that is missing, extra or differing in Postgres."""
        yield from self._positions(sink)
        found = self._snapshot.sums(rows.since)
        differing = different(rows.sums, found)
        for tables, check in (((JOBS, TRANSITIONS), self._jobs), ((LETTERS,), self._letters)):
            minutes = {minute for table, minute in differing if table in tables}
            for part in self._narrowed(rows, found, tables, minutes, sink):
                yield from check(part, sink)
        for job_id, kind, what in self._snapshot.disagreeing(rows.since):
            yield Finding(kind, "postgres jobs", f"its row against its own transitions: {what}", job_id)

    def _positions(self, sink: Mapping[Place, int]) -> Iterator[Finding]:
        """A sink that believes to have read what does not exist will skip what comes."""
        for topic in {topic for topic, _ in sink if topic in self._records}:
            for span in self._reader.spans(topic):
                next_ = sink.get((topic, span.partition), 0)
                if next_ > span.end:
                    what = f"the sink's position is {next_}, beyond the end of the log"
                    yield Finding("extra", "sink_offsets", what, None, None, topic, span.partition, span.end)

    def _narrowed(
        self, rows: RowSums, found: Mapping[RowKey, Sums], tables: tuple[str, ...], minutes: Iterable[int],
        sink: Mapping[Place, int],
    ) -> Iterator[Part]:  # fmt: skip
        """The minutes that differ, in parts; of a large one only the slices that differ."""
        sized = {
            minute: (max(_count(rows.sums, tables, minute), _count(found, tables, minute)),
                     _extent(rows, tables, minute))
            for minute in minutes
        }  # fmt: skip
        yield from parts({m: one for m, one in sized.items() if one[0] <= self._at_once}, self._at_once)
        for minute, (size, extent) in sized.items():
            if size > self._at_once:
                yield from self._by_slices(tables, Part({minute: extent}), sink)

    def _by_slices(self, tables: tuple[str, ...], part: Part, sink: Mapping[Place, int]) -> Iterator[Part]:
        wanted: dict[RowKey, Sums] = {}
        for table, _, job_id, digest, _ in self._wanted(part, sink):
            if table in tables:
                wanted.setdefault((table, slice_of(job_id)), Sums()).add(digest)
        found = self._snapshot.slices(tables, part.buckets)
        sizes: Counter[int] = Counter()
        for key in different(wanted, found):
            sizes[key[1]] += max(sums[key].count for sums in (wanted, found) if key in sums)
        yield from sliced(part.buckets, sizes, self._at_once)

    def _jobs(self, part: Part, sink: Mapping[Place, int]) -> Iterator[Finding]:
        envelopes: dict[Key, tuple[int, Digested]] = {}
        changes: dict[Key, Digested] = {}
        for table, key, job_id, digest, where in self._wanted(part, sink):
            if table == TRANSITIONS:
                changes.setdefault(key, (digest, where))
            elif table == JOBS and envelopes.get((job_id,), (-1,))[0] < key[1]:
                envelopes[(job_id,)] = key[1], (digest, where)
        ids = list({key[0] for key in changes})
        yield from compared(
            {key: digested for key, (_, digested) in envelopes.items()},
            {(job_id,): digest for job_id, _, digest in self._snapshot.jobs(part, ids)},
            lambda key: ("postgres jobs", "row", *key, None),
        )
        yield from compared(
            changes,
            {tuple(place): digest for *place, digest in self._snapshot.transitions(part, ids)},
            lambda key: ("postgres job_transitions", f"row of transition {key[2]}", key[0], key[1]),
        )

    def _letters(self, part: Part, sink: Mapping[Place, int]) -> Iterator[Finding]:
        letters: dict[Key, Digested] = {}
        for table, key, _, digest, where in self._wanted(part, sink):
            if table == LETTERS:
                letters.setdefault(key, (digest, where))
        found = self._snapshot.letters(part, [key[0] for key in letters])
        yield from compared(
            letters,
            {(letter_id,): digest for letter_id, digest in found},
            lambda key: ("postgres dead_letter_jobs", f"row of letter {key[0]}", None, None),
        )

    def _wanted(self, part: Part, sink: Mapping[Place, int]) -> Iterator[tuple[str, Key, str, int, Where]]:
        """The rows that the records of a part should have made: table, key, sliced id, digest, place."""
        for record, where in self._again(part.buckets.values(), sink):
            if isinstance(record, DeadLetter):
                letter_id = clean(record.letter_id)
                if part.has(record.last_failed_at // MINUTE_MS, letter_id):
                    yield LETTERS, (letter_id,), letter_id, letter_digest(record), where
                continue
            job_id = clean(record.job_id)
            if not part.has(record.accepted_at // MINUTE_MS, job_id):
                continue
            if isinstance(record, Lifecycle):
                for change in record.transitions:
                    key = (job_id, record.series, change.number)
                    yield TRANSITIONS, key, job_id, transition_digest(record, change), where
            elif not is_command(record):
                yield TRANSITIONS, (job_id, record.series, 0), job_id, acceptance_digest(record), where
                yield JOBS, (job_id, record.series), job_id, envelope_digest(record), where

    def _again(self, buckets: Iterable[Extent], sink: Mapping[Place, int]) -> Iterator[tuple[Any, Where]]:
        """The records that the sink has passed in some minutes, once more, in the order of each partition."""
        spans = [
            Span(topic, partition, low, min(high + 1, sink.get((topic, partition), 0)))
            for topic, partition, low, high in extents(buckets)
        ]
        for batch in self._reader.read(spans):
            for message in batch:
                where = (str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))
                record = self._decoded(where[0], message.value())
                if record is not None:
                    yield record, where

    def _decoded(self, topic: str, raw: Any) -> Job | Lifecycle | DeadLetter | Any:
        try:
            return None if raw is None else self._codec.decode(self._records[topic], raw)
        except ContractError:
            return None


def different(wanted: Mapping[RowKey, Sums], found: Mapping[RowKey, Sums]) -> list[RowKey]:
    """The tables and minutes whose sums are not the same."""
    nothing = Sums()
    keys = wanted.keys() | found.keys()
    return sorted(key for key in keys if wanted.get(key, nothing) != found.get(key, nothing))


def compared(
    wanted: Mapping[Key, Digested],
    found: Mapping[Key, int],
    named: Callable[[Key], tuple[str, str, str | None, int | None]],
) -> Iterator[Finding]:
    """What is missing, extra or differing between records and rows of the same key."""
    for key, (digest, where) in wanted.items():
        stage, what, job_id, series = named(key)
        if key not in found:
            yield Finding("missing", stage, f"no {what}", job_id, series, *where)
        elif found[key] != digest:
            yield Finding("differing", stage, f"{what} is not what its record says", job_id, series, *where)
    for key in found.keys() - wanted.keys():
        stage, what, job_id, series = named(key)
        yield Finding("extra", stage, f"{what} without a record", job_id, series)


def _count(sums: Mapping[RowKey, Sums], tables: Iterable[str], minute: int) -> int:
    return sum(sums[table, minute].count for table in tables if (table, minute) in sums)


def _extent(rows: RowSums, tables: Iterable[str], minute: int) -> Extent:
    """Where the records of a minute stand, of several tables together."""
    whole = Extent()
    known = [rows.extents[table, minute] for table in tables if (table, minute) in rows.extents]
    for topic, partition, low, high in extents(known):
        whole.add((topic, partition), low)
        whole.add((topic, partition), high)
    return whole
