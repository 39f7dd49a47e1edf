"""Jobs and entries for the tests of the core."""

from typing import Any

import msgspec

from schemas.priorities import Lane
from schemas.records import Job
from streams.core.entry import Entry, position

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
