"""Handlers with `cpu=True`, in real processes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agents.running.compute import Returned, Task
from agents.running.processes import Processes
from schemas import catalogue
from schemas.errors import PermanentError, TransientError
from tests.integration.agents.computing import Add, add
from tests.living import lives
from tests.unit.streams.core.builders import a_job

HANDLER = add.__dict__["handlers"][0]
pytestmark = pytest.mark.usefixtures("own_catalogue")


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    """One process at a time."""
    catalogue.declare(HANDLER.declares)
    made = Processes(1, (HANDLER.declares,))
    yield made
    made.close()


def task(do: str = "add", mark: Path | None = None, attempt: int = 1) -> Task:
    job = a_job(job_id="j", type="add", idempotency=None)
    return Task(add, Add(do=do, mark=str(mark or "")), job, attempt, 0, 7)


def quiet(*_: Any) -> None:
    pass


def text_in(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def mark_in(path: Path) -> int:
    deadline = time.monotonic() + 120
    while not text_in(path):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    return int(text_in(path))


async def gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while lives(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        await asyncio.sleep(0.01)


async def test_the_function_runs_in_a_process_that_is_kept_for_the_next(processes: Processes) -> None:
    said: list[Any] = []
    first = await processes.run(task(), 60, lambda *what: said.append(what))
    second = await processes.run(task(attempt=2), 60, quiet)
    assert first.result["pid"] == second.result["pid"] != os.getpid()
    assert (second.result["attempt"], second.result["key"]) == (2, "tf-j")
    assert said == [(50, "adding", "half of it")]
    assert [(child.type, child.accepted_at, child.data) for child in first.submitted] == [
        ("add", 7, '{"do":"again"}')
    ]


@pytest.mark.parametrize(
    ("do", "error", "code", "message"),
    [
        ("exit", TransientError, "process_died", "ended with status 3"),
        ("kill", TransientError, "process_died", "was ended by SIGKILL"),
        ("later", TransientError, "busy", "not now"),
        ("never", PermanentError, "no", "no"),
        ("unpicklable", TransientError, "Own", "function"),
        ("provider", PermanentError, "configuration", "no ctx.providers"),
    ],
)
async def test_what_goes_wrong_in_it_is_named_and_the_next_task_runs(
    processes: Processes, do: str, error: type[Exception], code: str, message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        await processes.run(task(do), 60, quiet)
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert isinstance(await processes.run(task(), 60, quiet), Returned)


async def test_a_time_out_kills_it(processes: Processes, tmp_path: Path) -> None:
    await processes.run(task(), 60, quiet)
    with pytest.raises(TimeoutError):
        await processes.run(task("spin", tmp_path / "pid"), 5.0, quiet)
    await gone(await mark_in(tmp_path / "pid"))
    assert isinstance(await processes.run(task(), 60, quiet), Returned)


async def test_a_cancel_kills_it(processes: Processes, tmp_path: Path) -> None:
    running = asyncio.ensure_future(processes.run(task("spin", tmp_path / "pid"), 60, quiet))
    pid = await mark_in(tmp_path / "pid")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await gone(pid)


async def test_tasks_wait_for_a_free_process_and_their_time_begins_then(processes: Processes) -> None:
    await processes.run(task(), 60, quiet)
    # Two seconds each: the last of them waits six.
    answers = await asyncio.gather(*(processes.run(task("sleep"), 7.0, quiet) for _ in range(4)))
    assert len({answer.result["pid"] for answer in answers}) == 1


async def test_an_idle_process_that_died_is_replaced(processes: Processes) -> None:
    pid = (await processes.run(task(), 60, quiet)).result["pid"]
    os.kill(pid, signal.SIGKILL)
    # A zombie's other threads may still be ending: only this says that all of it has.
    await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert (await processes.run(task(), 60, quiet)).result["pid"] != pid


PROGRAM = """
import asyncio, sys
from pathlib import Path
from agents.running.processes import Processes
from tests.integration.agents.test_processes import HANDLER, quiet, task

async def main():
    await Processes(1, (HANDLER.declares,)).run(task("spin", Path(sys.argv[1])), 60, quiet)

if __name__ == "__main__":
    asyncio.run(main())
"""


def a_worker(folder: Path) -> "subprocess.Popen[bytes]":
    program, root = folder / "worker.py", Path(__file__).parents[3]
    program.write_text(PROGRAM)
    return subprocess.Popen(
        [sys.executable, str(program), str(folder / "pid")], env={**os.environ, "PYTHONPATH": str(root)}
    )


async def test_it_does_not_outlive_its_worker(tmp_path: Path) -> None:
    worker = a_worker(tmp_path)
    try:
        pid = await mark_in(tmp_path / "pid")
    finally:
        worker.kill()
        worker.wait()
    await gone(pid)
