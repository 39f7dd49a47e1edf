"""CPU time as the kernel counts it, user and system: by process with its children, and by thread."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children so far; of this process itself without its children."""
    try:
        process = psutil.Process(pid)
        if pid == os.getpid():
            own = process.cpu_times()
            return float(own.user + own.system)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(_own_s(member) for member in family)


def _own_s(process: psutil.Process) -> float:
    try:
        # PostgreSQL's and others' ended children count through their parent.
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


@dataclass(frozen=True)
class Meter:
    """CPU of several processes between two moments."""

    pids: Mapping[str, int]
    before: Mapping[str, float]

    @classmethod
    def start(cls, pids: Mapping[str, int]) -> "Meter":
        """Read the counters now."""
        return cls(dict(pids), {name: cpu_s(pid) for name, pid in pids.items()})

    def used(self) -> dict[str, float]:
        """CPU seconds of each since `start`."""
        return {name: cpu_s(pid) - self.before[name] for name, pid in self.pids.items()}


def by_thread(pid: int) -> dict[str, float]:
    """CPU seconds by kind of thread: `loop` (the main one), `rdkafka` (its own), `other` (our others)."""
    found = {"loop": 0.0, "rdkafka": 0.0, "other": 0.0}
    for thread in psutil.Process(pid).threads():
        kind = "loop" if thread.id == pid else _kind(Path(f"/proc/{pid}/task/{thread.id}/comm"))
        found[kind] += thread.user_time + thread.system_time
    return found


def _kind(comm: Path) -> str:
    try:
        return "rdkafka" if comm.read_text().startswith("rdk:") else "other"
    except OSError:
        return "other"
