"""`tierflow bench parked`: what a million jobs that wait cost a worker: memory, a take-over, and their turn.

The real scheduler on a real RocksDB, without Kafka. Each shape is written by one process and taken over by
another one, whose memory is compared with the same process on an empty table.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from ops.stack.progress import Say
from schemas.priorities import Lane
from schemas.records import DeadLetter, Failure, IdempotencyEntry, Job, Parked
from schemas.states import State
from streams.codec import Codec
from streams.core.attempt import Attempt
from streams.core.entry import Entry, position
from streams.core.gates import queue_gate
from streams.core.limits import Limits
from streams.core.machine import Machine
from streams.core.outcome import Outcome, Writes
from streams.core.ports import Time
from streams.core.rows import VERSION, entries_of
from streams.transport.index import Index
from streams.transport.rocks import RocksStore, shared_cache
from streams.transport.table_partition import TablePartition

SHAPES = ("delayed", "overdue", "behind", "gate")
NOW = 1_800_000_000_000
HOUR_MS = 3_600_000
IN_FLIGHT = 10_000
TURNS = 20_000
PAUSED = queue_gate("paused")
WANTED_GROWTH_MB, WANTED_MB = 50, 150
_WRITTEN_AT_ONCE = 5_000

JOB = Job(
    job_id="", series=0, queue="robot", type="validation", tier=2, priority=5, data='{"cellIds":["A1"]}' * 8,
    data_hash=b"0123456789abcdef", ordering_key="", accepted_at=NOW, attempts=3, backoff="fixed",
    backoff_delay_ms=1_000, backoff_max_ms=60_000, backoff_jitter=False, timeout_ms=30_000,
    source_topic="job-requests", source_partition=0, source_offset=0,
)  # fmt: skip


async def run(count: int, say: Say) -> dict[str, Any]:
    """A line per shape; MISSED where memory is not within its bounds."""
    figures: dict[str, Any] = {}
    lines = []
    for shape in SHAPES:
        say(f"{count:,} jobs, {shape}")
        folder = Path(tempfile.mkdtemp(prefix="tierflow-parked-"))
        try:
            _child("fill", shape, str(folder), str(count))
            found = figures[shape] = _child("take-over", shape, str(folder), str(count))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        is_held = found["growth_mb"] <= WANTED_GROWTH_MB and found["busy_mb"] <= WANTED_MB
        lines.append(
            f"{shape:8} {found['disk_mb']:>5,} MB on disk, open in {found['open_ms']:.0f} ms, grown by"
            f" {found['growth_mb']} MB, {found['busy_mb']} MB with {IN_FLIGHT:,} jobs in flight, a turn"
            f" {found['turn_us']:.0f} us CPU ({'held' if is_held else 'MISSED'})"
        )
    return {**figures, "lines": lines}


def _child(*arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "ops.bench.parked", *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


class Local:
    """Tables and hands of a machine on one table partition; a commit follows each turn of the loop."""

    def __init__(self, folder: Path) -> None:
        self._codec = Codec()
        self.known_entries: dict[bytes, tuple[bytes, ...]] = {}
        index = Index(self._entries_of, VERSION)
        store = RocksStore(folder, shared_cache(), 1e9)
        self.table = TablePartition("parked", "parked", 0, store, index=index)
        self.table.prepare()
        self.running: list[Attempt] = []
        self.ended_count = 0

    def commit(self) -> None:
        """What was written is in the store."""
        self.table.persist(self.table.take(), {}, None)
        self.table.settle()

    def _entries_of(self, place: bytes, raw: bytes) -> tuple[bytes, ...]:
        known = self.known_entries.get(place)
        return entries_of(place, self._codec.decode(Parked, raw)) if known is None else known

    # -- tables

    def row(self, partition: int, place: bytes) -> Parked | None:
        """A row."""
        raw = self.table.get(place)
        return None if raw is None else self._codec.decode(Parked, raw)

    def index(self, partition: int, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The index."""
        return self.table.index_scan(start, prefix)

    def known(self, partition: int, key: bytes) -> IdempotencyEntry | None:
        """Nothing."""
        return None

    # -- hands

    def write(self, entry: Entry, writes: Writes) -> None:
        """The row of a job."""
        row = writes.parked
        if row is not None or entry.step is None:
            self.table.apply({entry.position: None if row is None else self._codec.encode(row)})

    def check_in(self, attempt: Attempt, writes: Writes) -> None:
        """No job here has one."""
        raise NotImplementedError

    def run(self, attempt: Attempt) -> None:
        """It runs until `end`."""
        self.running.append(attempt)

    def cancel(self, attempt: Attempt) -> None:
        """Nobody cancels here."""

    def stop(self, attempt: Attempt) -> None:
        """Nothing is limited here."""

    def ended(self, attempt: Attempt, result: Outcome) -> None:
        """One more."""
        self.ended_count += 1

    def hold_type(self, entry: Entry, reason: str) -> None:
        """No job dies here."""
        raise NotImplementedError

    def letter(self, entry: Entry, failure: Failure, now: int) -> DeadLetter:
        """No job dies here."""
        raise NotImplementedError

    def hold(self, partition: int, lane: Lane) -> None:
        """Nothing is fetched here."""

    def release(self, partition: int, lane: Lane) -> None:
        """Nothing is fetched here."""


def _rows(shape: str, count: int) -> Iterator[tuple[bytes, Parked]]:
    for offset in range(count):
        key = "hot" if shape == "behind" else f"key-{offset}"
        queue = "paused" if shape == "gate" else "robot"
        job = msgspec.structs.replace(
            JOB, job_id=f"job-{offset:08}", ordering_key=key, queue=queue, source_offset=offset
        )
        entry = Entry(job, position(key, Lane.NORMAL.value, offset), 0)
        if shape == "delayed":
            row = entry.parked(State.DELAYED, holder=False, due=NOW + HOUR_MS + offset)
        elif shape == "overdue":
            row = entry.parked(State.DELAYED, holder=False, due=NOW - count + offset)
        elif shape == "gate":
            row = entry.parked(State.WAITING, holder=False, gate=PAUSED)
        else:
            row = entry.parked(State.WAITING, holder=False)
        yield entry.position, row


def fill(shape: str, folder: Path, count: int) -> dict[str, Any]:
    """Write the table as a worker would have."""
    local, codec = Local(folder / shape), Codec()
    batch: dict[bytes, bytes | None] = {}
    for place, row in _rows(shape, count):
        batch[place], local.known_entries[place] = codec.encode(row), entries_of(place, row)
        if len(batch) == _WRITTEN_AT_ONCE:
            local.table.restore(batch, {}, 1)
            batch, local.known_entries = {}, {}
    local.table.restore(batch, {}, 1)
    local.table.close()
    return {}


def take_over(shape: str, folder: Path, count: int) -> dict[str, Any]:
    """Memory and times of a new owner; before, the same work on an empty table."""
    _work(folder / "empty", "delayed", 0)
    empty_mb = _rss_mb()
    found = _work(folder / shape, shape, count)
    return {**found, "empty_mb": empty_mb, "growth_mb": _rss_mb() - empty_mb}


def _work(folder: Path, shape: str, count: int) -> dict[str, Any]:
    begun = time.perf_counter()
    local = Local(folder)
    machine = Machine(local, local, lambda: 0.5, Limits(2 * IN_FLIGHT, full=IN_FLIGHT, room=IN_FLIGHT // 2))
    if shape == "gate":
        machine.close_gate(PAUSED)
    machine.opened(0, _at(0))
    machine.tick(_at(0))
    open_ms = (time.perf_counter() - begun) * 1000
    turn_us = _turns(machine, local, shape, min(TURNS, count))
    _arrive(machine, count)
    local.commit()
    busy_mb = _rss_mb()
    # These and no more: each return starts the next of its key, which would bring a hot key into one step.
    for attempt in local.running[:]:
        machine.returned(attempt, "{}", None, _at(1))
    local.commit()
    disk_mb = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) >> 20
    local.table.close()
    return {"open_ms": open_ms, "turn_us": turn_us, "busy_mb": busy_mb, "disk_mb": disk_mb}


def _turns(machine: Machine, local: Local, shape: str, wanted: int) -> float:
    """CPU us from the table to the end of a job, over the first ones whose turn comes."""
    if shape == "delayed" or not wanted:
        for step in range(50):
            machine.tick(_at(0.02 * step))
        return 0.0
    if shape == "gate":
        machine.open_gate(PAUSED, _at(0))
    before, begun = local.ended_count, time.process_time()
    while local.ended_count - before < wanted:
        machine.tick(_at(0))
        for _ in range(_WRITTEN_AT_ONCE):
            if not local.running:
                break
            machine.returned(local.running.pop(), "{}", None, _at(0))
        local.commit()
    spent_us = (time.process_time() - begun) * 1e6 / (local.ended_count - before)
    if shape == "gate":
        machine.close_gate(PAUSED)
    return spent_us


def _arrive(machine: Machine, count: int) -> None:
    """Jobs of keys of their own: all of them run."""
    for begin in range(0, IN_FLIGHT, 500):
        entries = []
        for number in range(begin, begin + 500):
            job = msgspec.structs.replace(JOB, job_id=f"new-{number}", ordering_key=f"new-{number}")
            place = position(job.ordering_key, Lane.NORMAL.value, count + number)
            entries.append(Entry(job, place, 0, step="open"))
        machine.arrived(0, Lane.NORMAL, entries, _at(0))


def _at(seconds: float) -> Time:
    return Time(NOW + round(seconds * 1000), 1_000.0 + seconds)


def _rss_mb() -> int:
    return int(psutil.Process().memory_info().rss >> 20)


if __name__ == "__main__":
    what, of, where, how_many = sys.argv[1:]
    made = {"fill": fill, "take-over": take_over}[what](of, Path(where), int(how_many))
    print(json.dumps(made))
