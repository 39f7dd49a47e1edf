"""The months that tables are partitioned by: which family a job belongs to, and which months are made; pure.

A month's partition is FAMILY_YYYY_MM, by UTC. See migration 0002 for the tables.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime

from schemas.catalogue import JOB_TYPES

KEEP_DAYS, KEEP_LONG_DAYS = 90, 365
"""How long jobs are kept: as long as their idempotency keys are remembered, a year for NFT jobs."""
LETTERS = "dead_letter_jobs"
LETTERS_KEEP_DAYS = 90
FAMILIES = {
    **{f"{table}_{days}d": days for table in ("jobs", "job_transitions") for days in (90, 365)},
    LETTERS: LETTERS_KEEP_DAYS,
}
"""The tables whose partitions are months -> days that rows are kept after their month has ended."""
AHEAD = 2

_NAME = re.compile(r"(\w+)_(\d{4})_(\d{2})")
_FIRST_YEAR = 2020


def keep_days(kind: str) -> int:
    """How long a job of a type is kept, in days."""
    job_type = JOB_TYPES.get(kind)
    return KEEP_LONG_DAYS if job_type and job_type.idempotency_days > KEEP_DAYS else KEEP_DAYS


def months_of(times: Iterable[tuple[str, int]], now: datetime) -> list[tuple[str, date]]:
    """The months that rows of a family at a time (ms since the epoch) need.

    None for times that a clock far off gave: those rows stand in FAMILY_other, so that nobody makes us make
    thousands of tables.
    """
    latest = following(now.date(), 12)
    found = set()
    for family, at in times:
        try:
            month = datetime.fromtimestamp(at / 1000, UTC).date().replace(day=1)
        except (ValueError, OverflowError, OSError):
            continue
        if month.year >= _FIRST_YEAR and month <= latest:
            found.add((family, month))
    return sorted(found)


def months_ahead(now: datetime) -> list[tuple[str, date]]:
    """This month and the next ones, of every family."""
    return [(family, following(now.date(), step)) for family in FAMILIES for step in range(AHEAD + 1)]


def following(day: date, months: int) -> date:
    """The first day of the month so many months later."""
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def month_in(partition: str) -> tuple[str, date] | None:
    """The family and month that a partition's name says; None for FAMILY_other."""
    found = _NAME.fullmatch(partition)
    if found is None or found[1] not in FAMILIES:
        return None
    return found[1], date(int(found[2]), int(found[3]), 1)


def is_over(partition: str, now: datetime) -> bool:
    """Whether every row of a month has been kept for long enough."""
    found = month_in(partition)
    if found is None:
        return False
    family, month = found
    end = datetime.combine(following(month, 1), datetime.min.time(), UTC)
    return (now - end).days >= FAMILIES[family]
