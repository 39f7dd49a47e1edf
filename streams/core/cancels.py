"""Cancels that wait for their job: rows of the table `parked` that hold the command itself.

A cancel may come before its job, which is deep in another lane, and one of a running job must outlive the
owner that was asked. Either is remembered until the job has ended, or its lane would have forgotten it.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from schemas.commands import Cancel, cancel_of
from schemas.keys import digest
from schemas.priorities import Lane
from schemas.records import Job, Parked
from schemas.states import State
from schemas.tiers import POLICIES, Tier
from streams.core.entry import Entry
from streams.core.outcome import Writes
from streams.core.rows import MARK, Rows, time_bytes

# No ordering key has this digest: marks stand apart from the jobs.
APART = bytes(16)
# A job accepted so long after the cancel was meant for an older one of its id; clocks differ a little.
CLOCKS_DIFFER_MS = 60_000


class Mark(NamedTuple):
    """A remembered cancel and where it stands."""

    order: Cancel
    place: bytes
    command: Job


def mark_place(job_id: str) -> bytes:
    """Where a cancel of this job stands in the table."""
    return APART + bytes([Lane.URGENT]) + digest(job_id)


def marked(command: Entry) -> Writes:
    """The row that remembers a command, which is an entry at its job's `mark_place`."""
    job = command.job
    until = job.accepted_at + POLICIES[Tier(job.tier)].retention_ms
    return Writes(0, parked=command.parked(State.CANCELLED, holder=False, due=until))


class Marks:
    """The remembered cancels of one partition; nothing is asked of the table while there is none."""

    __slots__ = ("_any", "_rows")

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._any = next(rows.index(MARK, MARK), None) is not None

    def __bool__(self) -> bool:
        return self._any

    def added(self) -> None:
        """One was written."""
        self._any = True

    def of(self, job: Job) -> Mark | None:
        """The cancel that is meant for this job."""
        place = mark_place(job.job_id)
        row = self._rows.row(place) if self._any else None
        if row is None:
            return None
        order = cancel_of(row.job)
        is_meant = job.series <= order.series and job.accepted_at <= row.job.accepted_at + CLOCKS_DIFFER_MS
        return Mark(order, place, row.job) if is_meant else None

    def expired(self, now: int, most: int) -> Iterator[tuple[bytes, Parked]]:
        """Those whose job will not come any more."""
        end = MARK + time_bytes(now)
        for entry, place in list(islice(self._rows.index(MARK, MARK), most)):
            row = self._rows.row(place) if entry <= end else None
            if row is not None:
                yield place, row
        self._any = next(self._rows.index(MARK, MARK), None) is not None
