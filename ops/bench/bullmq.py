"""`tierflow bench bullmq`: no-op jobs through BullMQ on Valkey, and ours of several shapes, in turns.

BullMQ keeps its jobs' states as we do. It has no order within a key (its groups are not in the open edition),
and a job whose worker died runs again: at least once. npm installs it the first time, under the data folder.
"""

import asyncio
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ops.bench import jobs as reporting
from ops.bench import shapes
from ops.bench.cpu import Meter
from ops.bench.drain import WARM_UP, Shape, drain
from ops.bench.infrastructure import infrastructure
from ops.bench.peers import run_to_end
from ops.stack.errors import StackError
from ops.stack.folder import data_folder
from ops.stack.progress import Say

SOURCE = Path(__file__).with_name("node")
SCRIPT = SOURCE / "bullmq.mjs"
LIMIT_S = 300.0
SHAPES = {reporting.NO_OP: 10_000, **shapes.WANTED}
"""Jobs a second that are wanted of each, on the machine of the reference."""
REFERENCE_RATE, REFERENCE_US = 12_800, 139.0
"""No-op jobs of BullMQ there: a second, and the CPU of one, its store included."""


async def run(count: int, say: Say) -> dict[str, Any]:
    """Each shape between two runs of BullMQ: rates, CPU, ratios, and the rate at the reference's speed."""
    folder = await _installed(say)
    found: dict[str, Any] = {"lines": [_HEAD]}
    before = await _measure(folder, count, say)
    for shape, wanted in SHAPES.items():
        figures, _ = await drain(shape, count, say)
        say(f"bullmq: {shape.name}: ended after {figures.ended_s:.1f} s")
        after = await _measure(folder, count, say)
        found[shape.name] = beside = _compared(shape, wanted, reporting.as_dict(figures), [before, after])
        found["lines"].append(_line_of(shape, beside))
        before = after
    return found


def _compared(
    shape: Shape, wanted: int, ours: dict[str, Any], theirs: list[dict[str, Any]]
) -> dict[str, Any]:
    rate = ours["readable_jobs_per_s"] if shape.row else ours["jobs_per_s"]
    their_rate = sum(one["jobs_per_s"] for one in theirs) / len(theirs)
    their_us = sum(one["cpu_us_per_job_total"] for one in theirs) / len(theirs)
    return {
        "tierflow": ours,
        "bullmq": theirs,
        "jobs_per_s": rate,
        "bullmq_jobs_per_s": round(their_rate),
        "ratio": round(rate / their_rate, 2),
        "wanted_ratio": round(wanted / REFERENCE_RATE, 2),
        "cpu_us": ours["cpu_us_per_job_total"],
        "bullmq_cpu_us": round(their_us, 1),
        "cpu_ratio": round(ours["cpu_us_per_job_total"] / their_us, 2),
        "jobs_per_s_at_reference": round(rate * their_us / REFERENCE_US),
        "wanted": wanted,
    }


_HEAD = (
    f"{'':44}{'jobs/s':>8}{'BullMQ/s':>10}{'ratio':>7}{'wanted':>8}{'CPU us':>9}{'BullMQ us':>11}"
    f"{'ratio':>7}{'at BullMQ 139 us':>18}{'wanted':>9}"
)


def _line_of(shape: Shape, beside: dict[str, Any]) -> str:
    return (
        f"{shape.name:44}{beside['jobs_per_s']:>8,}{beside['bullmq_jobs_per_s']:>10,}{beside['ratio']:>7}"
        f"{beside['wanted_ratio']:>8}{beside['cpu_us']:>9}{beside['bullmq_cpu_us']:>11}"
        f"{beside['cpu_ratio']:>7}{beside['jobs_per_s_at_reference']:>18,}{beside['wanted']:>9,}"
    )


async def _measure(folder: Path, count: int, say: Say) -> dict[str, Any]:
    async with infrastructure(say) as on:
        port = str(urlsplit(on.environment["REDIS_URL"]).port)
        await _drained(folder, port, WARM_UP, {})
        return await _drained(folder, port, count, {"valkey": on.pids["valkey"]})


async def _drained(folder: Path, port: str, count: int, pids: dict[str, int]) -> dict[str, Any]:
    """One worker process with 200 jobs at a time, one that produces beside it (its CPU is not counted)."""
    worker = await _start(folder, "work", port, count)
    try:
        await _line(worker)
        meter = Meter.start(pids)
        producer = await _start(folder, "produce", port, count)
        made = await _line(producer)
        ended = await _line(worker)
        used = {**meter.used(), "worker": ended["cpu_s"]}
        await asyncio.wait_for(asyncio.gather(producer.wait(), worker.wait()), LIMIT_S)
    finally:
        if worker.returncode is None:
            worker.kill()
    seconds = (ended["ended"] - made["began"]) / 1000
    per_job = {name: round(cpu / count * 1e6, 1) for name, cpu in used.items()}
    return {
        "jobs": count,
        "jobs_per_s": round(count / seconds),
        "cpu_us_per_job": per_job,
        "cpu_us_per_job_total": round(sum(per_job.values()), 1),
    }


async def _start(folder: Path, *argv: object) -> asyncio.subprocess.Process:
    # The script is read from the folder, because node looks for its packages beside it.
    return await asyncio.create_subprocess_exec(
        "node", SCRIPT.name, *map(str, argv), cwd=folder,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def _line(child: asyncio.subprocess.Process) -> dict[str, Any]:
    """The next line of JSON; what else it prints (advice about its server) is passed over."""
    assert child.stdout is not None
    while raw := await asyncio.wait_for(child.stdout.readline(), LIMIT_S):
        if raw.startswith(b"{"):
            told: dict[str, Any] = json.loads(raw)
            return told
    raise RuntimeError("BullMQ's process ended before it was done")


async def _installed(say: Say) -> Path:
    """The folder that has it. StackError with the reason."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise StackError("BullMQ needs node and npm", "apt-get install -y nodejs npm")
    read = b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()) if path.is_file())
    version = hashlib.sha256(read).hexdigest()[:12]
    folder = data_folder(None, os.environ, Path.cwd()).root / "bench" / f"bullmq-{version}"
    done = folder / ".installed"
    if not done.exists():
        say("bullmq: installing BullMQ (the first time only)")
        await asyncio.to_thread(shutil.copytree, SOURCE, folder, dirs_exist_ok=True)
        # Not `npm ci`: it wants the packages of all platforms locked. What is locked is checked here, too.
        quiet = ("--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund")
        await run_to_end("BullMQ", npm, "install", "--prefix", str(folder), *quiet)
        done.touch()
    return folder
