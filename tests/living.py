"""Which processes still live. A zombie does not: who started it has only not asked for its status yet."""

import contextlib
from collections.abc import Iterable

import psutil


def living(pids: Iterable[int]) -> list[int]:
    """Those that still run."""
    return [pid for pid in pids if lives(pid)]


def lives(pid: int) -> bool:
    """Whether it still runs."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    return False


def still(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that still run, and are no others under the same numbers."""
    return [each for each in processes if each.is_running() and lives(each.pid)]
