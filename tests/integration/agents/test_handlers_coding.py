"""Coding tasks as real processes: what they print, what they see, and that nothing of them is left."""

import asyncio
import json
import os
import signal
import sys
import textwrap
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agents.handlers.coding_task import coding_task
from agents.providers import Providers
from connectors.child_process import OUTPUT_LIMIT_BYTES, CodingCommand
from schemas.errors import PermanentError, TransientError
from schemas.payloads.agent_tasks import CodingTask
from tests.living import living
from tests.unit.agents.handlers.contexts import Told, context, job

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[3]
PYTHON = f"'{sys.executable}' -I -"
# Two grandchildren: one in the task's process group, one in a session of its own; both ignore SIGTERM.
FAMILY = """
import json, os, signal, subprocess, sys, time
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pids = [os.getpid()]
for apart in (False, True):
    pids.append(subprocess.Popen([sys.executable, "-I", "-c", stubborn], start_new_session=apart).pid)
open("pids.new", "w").write(json.dumps(pids))
os.rename("pids.new", "pids")
"""
WAITS = "time.sleep(600)\n"


def coding(root: Path, *, grace_s: float = 0.3) -> CodingCommand:
    return CodingCommand(PYTHON, root, search_path=os.environ["PATH"], grace_s=grace_s)


def task(program: str, **config: object) -> CodingTask:
    data = {"taskId": str(uuid.uuid4()), "prompt": textwrap.dedent(program), "userId": "u", "config": config}
    return CodingTask.parse(json.dumps(data))


async def run(root: Path, data: CodingTask, *, grace_s: float = 0.3) -> dict[str, object]:
    providers = Providers(coding=coding(root, grace_s=grace_s))
    return await coding_task(context(job("coding-task"), providers=providers), data)


async def until(holds: Callable[[], bool], limit_s: float = 90.0) -> None:
    async with asyncio.timeout(limit_s):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)


def family(root: Path) -> list[int]:
    pids: list[int] = json.loads((root / "pids").read_text())
    assert len(pids) == 3
    return pids


async def test_what_the_program_prints_is_the_result(tmp_path: Path) -> None:
    data = task("print(sum(range(101)))")
    ctx = context(job("coding-task"), providers=Providers(coding=coding(tmp_path)))
    result = await coding_task(ctx, data)
    assert (result["taskId"], result["exitCode"], result["output"]) == (str(data.task_id), 0, "5050\n")
    assert result["durationMs"] > 0
    assert isinstance(ctx.report, Told)
    assert ctx.report.stages == [
        "initializing", "validating", "executing", "processing_output", "finalizing", "completed"
    ]  # fmt: skip


async def test_output_is_kept_up_to_its_limit_and_says_so(tmp_path: Path) -> None:
    result = await run(tmp_path, task("import sys; sys.stdout.write('x' * 5_000_000)"))
    assert result["output"] == "x" * OUTPUT_LIMIT_BYTES
    assert result["truncated"] is True


async def test_a_long_prompt_that_nobody_reads_does_not_block(tmp_path: Path) -> None:
    command = CodingCommand("sh -c 'echo done'", tmp_path, search_path=os.environ["PATH"])
    finished = await command.run("x" * 1_000_000, folder=tmp_path, environment={}, timeout_s=60)
    assert finished.output == "done\n"


async def test_the_program_sees_nothing_of_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_secret")
    program = """
        import json, os
        print(json.dumps([dict(os.environ), os.getcwd(), sorted(os.listdir("/proc/self/fd"))]))
    """
    result = await run(tmp_path, task(program, environment={"TASK_COLOUR": "red"}))
    environment, folder, descriptors = json.loads(str(result["output"]))
    assert set(environment) - {"LC_CTYPE"} == {"PATH", "HOME", "LANG", "TASK_COLOUR"}
    assert (environment["TASK_COLOUR"], environment["HOME"], folder) == ("red", str(tmp_path), str(tmp_path))
    assert descriptors == ["0", "1", "2", "3"], "3 is the listing itself"


async def test_a_variable_that_is_not_allowed_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="LD_PRELOAD"):
        await run(tmp_path, task("open('ran', 'w')", environment={"LD_PRELOAD": "x"}))
    assert not (tmp_path / "ran").exists()


async def test_a_folder_outside_the_root_starts_nothing(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(PermanentError) as caught:
        await run(root, task("open('ran', 'w')", workingDirectory=".."))
    assert caught.value.code == "path_escape"
    assert not (tmp_path / "ran").exists()


async def test_a_failing_program_says_what_it_wrote_last(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="no such column") as caught:
        await run(tmp_path, task("import sys; print('no such column', file=sys.stderr); sys.exit(65)"))
    assert caught.value.code == "exit_65"


async def test_a_program_killed_from_outside_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(TransientError) as caught:
        await run(tmp_path, task("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert caught.value.code == "exit_137"


async def test_its_time_limit_ends_a_task_with_all_its_descendants(tmp_path: Path) -> None:
    with pytest.raises(TransientError) as caught:
        await run(tmp_path, task(FAMILY + WAITS, timeout=6))
    assert caught.value.code == "timeout"
    await until(lambda: not living(family(tmp_path)))


async def test_a_cancelled_task_is_gone_when_the_cancellation_is_done(tmp_path: Path) -> None:
    running = asyncio.create_task(run(tmp_path, task(FAMILY + WAITS)))
    await until((tmp_path / "pids").exists)
    pids = family(tmp_path)
    assert living(pids) == pids
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert living(pids) == []


async def test_what_a_program_left_running_is_killed_when_it_ends(tmp_path: Path) -> None:
    result = await run(tmp_path, task(FAMILY))
    assert result["exitCode"] == 0
    await until(lambda: not living(family(tmp_path)))


async def test_a_program_may_end_in_peace(tmp_path: Path) -> None:
    program = """
        import signal, sys, time
        def stop(*_):
            open("stopped", "w").close()
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        time.sleep(600)
    """
    with pytest.raises(TransientError):
        # It is gone long before its grace is over, unless the machine has no time for it.
        await run(tmp_path, task(program, timeout=6), grace_s=60)
    assert (tmp_path / "stopped").exists()


WORKER = """
import asyncio, os, sys
from pathlib import Path
from connectors.child_process import CodingCommand
root = Path(sys.argv[1])
command = CodingCommand(sys.argv[2], root, search_path=os.environ["PATH"], grace_s=0.3)
asyncio.run(command.run(sys.argv[3], folder=root, environment={}, timeout_s=60))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_worker_that_dies_leaves_no_orphan(tmp_path: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-c", WORKER, str(tmp_path), PYTHON, FAMILY + WAITS]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    worker = await asyncio.create_subprocess_exec(*words, cwd=ROOT, env=environment)
    await until((tmp_path / "pids").exists)
    pids = family(tmp_path)
    worker.send_signal(number)
    await worker.wait()
    await until(lambda: not living(pids))


async def test_a_keeper_that_is_killed_takes_the_command_with_it(tmp_path: Path) -> None:
    running = asyncio.create_task(run(tmp_path, task(FAMILY + WAITS)))
    await until((tmp_path / "pids").exists)
    command, *_ = pids = family(tmp_path)
    os.kill(psutil.Process(command).ppid(), signal.SIGKILL)
    with pytest.raises(TransientError):
        await running
    assert living([command]) == []
    for pid in living(pids):  # the price of killing the keeper: what only it knew of
        os.kill(pid, signal.SIGKILL)
