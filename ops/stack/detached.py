"""Starts a stack that goes on without us, and stops one that does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ops.stack.errors import StackError
from ops.stack.folder import DataFolder
from ops.stack.progress import Say
from ops.stack.state import READY, StackState, read

STOP_LIMIT_S = 90.0


def start_detached(arguments: list[str], folder: DataFolder, environment: Mapping[str, str]) -> StackState:
    """Start `tierflow up` with these arguments in a session of its own; return when all is ready.

    Copies its lines to standard error meanwhile. StackError when it gives up; its reason is among them.
    """
    folder.create()
    log = folder.log("supervisor")
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), environment.get("PYTHONPATH"))))
    began_at = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "ops.cli.main", "up", "--quiet", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**environment, "PYTHONPATH": path},
            start_new_session=True,
        )
    try:
        return _until_ready(child, folder, log, began_at)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise


def _until_ready(
    child: "subprocess.Popen[bytes]", folder: DataFolder, log: Path, began_at: int
) -> StackState:
    with log.open(errors="replace") as lines:
        lines.seek(began_at)
        while True:
            ended = child.poll()
            sys.stderr.write(lines.read())
            sys.stderr.flush()
            if ended is not None:
                raise StackError(f"the stack did not start (status {ended}); the lines above are in {log}")
            now = read(folder.state)
            if now and now.supervisor == child.pid and now.phase == READY:
                return now
            time.sleep(0.1)


def stop_running(folder: DataFolder, say: Say) -> bool:
    """Stop the stack on this folder and return when nothing of it runs; False if none ran."""
    now = read(folder.state)
    if now is None or not (now.runs() or now.leftovers()):
        return False
    if now.runs():
        os.kill(now.supervisor, signal.SIGTERM)
    deadline = time.monotonic() + STOP_LIMIT_S
    said: set[str] = set()
    while now.runs() or now.leftovers():
        if time.monotonic() > deadline:
            names = ", ".join(f"{part.name} (pid {part.pid})" for part in now.leftovers())
            raise StackError(
                f"still running after {STOP_LIMIT_S:.0f} s: supervisor (pid {now.supervisor}) {names}"
            )
        ended = {part.name for part in now.parts if part.pid and part not in now.leftovers()}
        for name in sorted(ended - said):
            say(f"{name} has stopped")
        said |= ended
        now = read(folder.state) or now
        time.sleep(0.1)
    return True
