"""The supervisor and the leash, with small programs in the place of servers."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from ops.stack.errors import PartFailedError, StackError
from ops.stack.folder import DataFolder
from ops.stack.leash import Guard
from ops.stack.part import Part
from ops.stack.ports import LOOPBACK, Ports
from ops.stack.process import run_once, running
from ops.stack.supervisor import Supervisor
from tests.living import still
from tests.stack import ROOT

LIMIT_S = 120.0

LISTENS = "import socket, sys, time; kept = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
HAS_CHILD = "import subprocess; subprocess.Popen(['sleep', '300'])\n"
WAITS = "time.sleep(300)"


def program(name: str, text: str, port: int | None = None, **settings: object) -> Part:
    """Return a part that runs a Python text and is healthy while somebody listens on its port."""
    port = port or Ports({}).get(name)
    return Part(
        name=name,
        argv=(sys.executable, "-I", "-c", text, str(port)),
        health=f"tcp://{LOOPBACK}:{port}",
        address=f"{LOOPBACK}:{port}",
        **settings,  # type: ignore[arg-type]
    )


class Kept:
    """A supervisor with what it said."""

    def __init__(self, root: Path) -> None:
        folder = DataFolder(root)
        folder.create()
        self.said: list[str] = []
        self.guard = Guard()
        self.supervisor = Supervisor(folder, self.guard, self.said.append, lambda: None)

    def process(self, name: str) -> psutil.Process:
        pid = next(part.pid for part in self.supervisor.parts() if part.name == name)
        assert pid is not None
        return psutil.Process(pid)

    def restarts(self, name: str) -> int:
        return next(part.restarts for part in self.supervisor.parts() if part.name == name)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    made = Kept(tmp_path)
    yield made
    await made.supervisor.stop([part.name for part in made.supervisor.parts()])
    made.guard.close()


async def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def test_a_part_that_asks_for_a_new_process_gets_one(kept: Kept) -> None:
    # It ends when it has been found healthy.
    await kept.supervisor.bring_up(program("role", LISTENS + "kept.accept(); time.sleep(0.2); sys.exit(76)"))
    await until(lambda: kept.restarts("role") == 2, "started again twice")
    assert "role ended with status 76 (asks for a new process); starts again in 0.5 s" in kept.said
    assert "role ended with status 76 (asks for a new process); starts again in 1 s" in kept.said


async def test_a_restarted_part_is_said_to_be_ready_again(kept: Kept) -> None:
    await kept.supervisor.bring_up(program("role", LISTENS + WAITS))
    kept.process("role").kill()
    await until(lambda: any(line.startswith("role is ready again") for line in kept.said), "ready again")


async def test_a_part_that_never_comes_up_is_given_up_with_its_last_words(kept: Kept) -> None:
    with pytest.raises(PartFailedError, match=r"ended with status 3 each time(.|\n)*the setting is wrong"):
        await kept.supervisor.bring_up(
            program("role", "import sys; print('the setting is wrong'); sys.exit(3)")
        )


async def test_a_part_that_never_is_healthy_is_given_up_after_its_limit(kept: Kept) -> None:
    with pytest.raises(PartFailedError, match=r"role was not ready after 1 s: .*refused"):
        await kept.supervisor.bring_up(program("role", "import time; time.sleep(300)", ready_limit_s=1.0))


async def test_a_part_that_does_not_obey_is_killed_after_its_limit_and_said_so(kept: Kept) -> None:
    await kept.supervisor.bring_up(program("role", STUBBORN + LISTENS + WAITS, stop_limit_s=0.5))
    process = kept.process("role")
    await kept.supervisor.stop(["role"])
    assert still([process]) == []
    assert "role did not end within 0.5 s and was killed" in kept.said


async def test_what_a_killed_part_had_started_ends_with_it(kept: Kept) -> None:
    await kept.supervisor.bring_up(program("role", HAS_CHILD + LISTENS + WAITS))
    process = kept.process("role")
    (grandchild,) = process.children()
    process.kill()
    await until(lambda: not still([grandchild]), "the child of the part has ended")


async def test_stopping_while_waiting_to_restart_starts_nothing(kept: Kept) -> None:
    await kept.supervisor.bring_up(program("role", LISTENS + WAITS))
    process = kept.process("role")
    process.kill()
    await until(lambda: any("starts again in" in line for line in kept.said), "it is seen")
    await kept.supervisor.stop(["role"])
    assert kept.supervisor.parts()[0].pid is None
    assert kept.restarts("role") == 0


async def test_a_process_can_be_run_without_a_supervisor(tmp_path: Path) -> None:
    guard = Guard()
    async with running(program("emulator", LISTENS + WAITS), tmp_path / "log", guard) as process:
        assert process.alive()
    assert not process.alive()
    guard.close()


async def test_a_command_that_fails_says_its_last_words(tmp_path: Path) -> None:
    guard = Guard()
    with pytest.raises(StackError, match=r"copy ended with status 1(.|\n)*no such file"):
        await run_once("copy", ("sh", "-c", "echo no such file; exit 1"), tmp_path / "log", guard)
    guard.close()


ORPHANS = """
import asyncio, sys
from pathlib import Path
from ops.stack.leash import Guard
from ops.stack.part import Part
from ops.stack.process import start
async def main():
    part = Part("role", (sys.executable, "-I", "-c", sys.argv[1], sys.argv[2]), "", "")
    process = await start(part, Path(sys.argv[3]), Guard())
    print(process.pid, flush=True)
    await process.ended()
asyncio.run(main())
"""


@pytest.mark.parametrize("kernel", [True, False], ids=["with the kernel's signal", "with the guard alone"])
async def test_nothing_outlives_a_killed_supervisor_not_even_the_children_of_its_parts(
    tmp_path: Path, kernel: bool
) -> None:
    port = Ports({}).get("role")
    text = (
        ORPHANS
        if kernel
        else "from ops.stack import leash\nleash.death_signal_works = lambda: False\n" + ORPHANS
    )
    command = (sys.executable, "-c", text, HAS_CHILD + LISTENS + WAITS, str(port), str(tmp_path / "log"))
    # Blocks the loop for a moment; nothing else runs on it.
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as supervisor:  # noqa: ASYNC220
        assert supervisor.stdout is not None
        part = psutil.Process(int(supervisor.stdout.readline()))
        await until(lambda: len(part.children()) == 1, "the part has a child")
        orphans = [part, *part.children()]
        supervisor.send_signal(signal.SIGKILL)
    await until(lambda: not still(orphans), "all have ended")
