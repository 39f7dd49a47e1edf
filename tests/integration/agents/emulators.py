"""The providers' emulators as child processes, as the demo starts them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.stack.health import ask
from ops.stack.leash import leashed
from ops.stack.ports import Ports

ROOT = Path(__file__).parents[3]
START_LIMIT_S = 120.0


def free_port() -> int:
    """A port that nobody listens on, and that no outgoing connection takes meanwhile."""
    return Ports({}).get("emulator")


@contextmanager
def emulator(name: str, url: str, *arguments: str) -> Iterator[None]:
    """Run one until the end of the block; it answers at `url` before the block begins."""
    command = (sys.executable, "-m", f"ops.emulators.{name}", *arguments)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(leashed(command, signal.SIGTERM), env=environment, cwd=ROOT) as child:
        try:
            asyncio.run(_answers(child, url))
            yield
        finally:
            child.terminate()


async def _answers(child: "subprocess.Popen[bytes]", url: str) -> None:
    async with asyncio.timeout(START_LIMIT_S):
        while True:
            assert child.poll() is None, f"the emulator ended with {child.returncode}"
            if await asyncio.to_thread(ask, url) is None:
                return
            await asyncio.sleep(0.05)
