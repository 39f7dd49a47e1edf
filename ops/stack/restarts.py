"""Decides when a part that ended is started again. Pure."""

from dataclasses import dataclass

STEADY_S = 60.0
"""A part that lived this long starts with a clean record."""

NEW_PROCESS = range(70, 80)
"""Exit statuses by which the engine says: only a new process helps."""


@dataclass(frozen=True)
class Record:
    """How often a part failed in a row, and whether it has ever been ready."""

    failures: int = 0
    was_ready: bool = False


def after_end(record: Record, lived_s: float) -> Record:
    """Return the record after one more end."""
    return Record(1 if lived_s >= STEADY_S else record.failures + 1, record.was_ready)


def gives_up(record: Record, status: int) -> bool:
    """Say whether the start of the stack has failed: a part that never was ready ends for the third time.

    A part that asks for a new process is given one for as long as the start may last.
    """
    return not record.was_ready and status not in NEW_PROCESS and record.failures >= 3


def delay_s(record: Record) -> float:
    """Return the pause before the next start: half a second, doubled per failure in a row, 30 s at most."""
    return float(min(30.0, 0.5 * 2 ** min(10, max(0, record.failures - 1))))
