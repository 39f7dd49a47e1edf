"""Jobs and entries for the tests of the core."""

from collections.abc import Iterator
from typing import Any

import msgspec

from schemas.priorities import Lane
from schemas.records import IdempotencyEntry, Job, Parked
from streams.core.entry import Entry, position
from streams.core.rows import entries_of

NOW = 1_767_225_600_000

JOB = Job(
    job_id="job-1", series=0, queue="robot", type="validation", tier=2, priority=5, data="{}",
    data_hash=b"hash", ordering_key="doc-1", accepted_at=NOW, attempts=3, backoff="fixed",
    backoff_delay_ms=1_000, backoff_max_ms=60_000, backoff_jitter=False, timeout_ms=30_000,
    source_topic="job-requests", source_partition=0, source_offset=0,
)  # fmt: skip


def a_job(**changes: Any) -> Job:
    return msgspec.structs.replace(JOB, **changes)


def an_entry(offset: int = 0, lane: Lane = Lane.NORMAL, *, step: Any = "step", **changes: Any) -> Entry:
    """An entry as it comes from its topic; `step=None`: from the table."""
    job = a_job(**{"job_id": f"job-{lane.label}-{offset}", "source_offset": offset, **changes})
    return Entry(job, position(job.ordering_key, lane.value, offset), 0, step)


class MemoryTables:
    """The tables of one partition in memory: `rows` by place, `keys` of idempotency."""

    def __init__(self, rows: dict[bytes, Parked] | None = None) -> None:
        self.rows = {} if rows is None else rows
        self.keys: dict[bytes, IdempotencyEntry] = {}

    def row(self, partition: int, place: bytes) -> Parked | None:
        return self.rows.get(place)

    def index(self, partition: int, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        listed = sorted(
            (entry + place, len(entry))
            for place, row in self.rows.items()
            for entry in entries_of(place, row)
            if entry.startswith(prefix)
        )
        return iter([(stored[:cut], stored[cut:]) for stored, cut in listed if stored >= start])

    def known(self, partition: int, key: bytes) -> IdempotencyEntry | None:
        return self.keys.get(key)
