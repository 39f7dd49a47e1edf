"""Ties child processes to this one, so that none survives it: the kernel's death signal and the guard."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from ops.stack import guard


@functools.cache
def death_signal_works() -> bool:
    """Say whether `setpriv --pdeathsig` (Linux, util-linux) is there; macOS and BusyBox have none."""
    if sys.platform != "linux" or shutil.which("setpriv") is None:
        return False
    tried = subprocess.run(["setpriv", "--pdeathsig", "KILL", "true"], capture_output=True, check=False)
    return tried.returncode == 0


def leashed(argv: tuple[str, ...], number: signal.Signals) -> tuple[str, ...]:
    """Return the command that runs `argv` and gets `number` when the thread that started it ends.

    The kernel watches the starting *thread*: start children from the main thread only.
    """
    if not death_signal_works():
        return argv
    return ("setpriv", "--pdeathsig", number.name.removeprefix("SIG"), *argv)


class Guard:
    """The process that ends the parts when this one dies, however it dies. Costs 8 MB."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(guard.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def watch(self, pid: int, number: signal.Signals) -> None:
        """From now on this process ends with us."""
        self._write(f"+{pid} {int(number)}\n")

    def forget(self, pid: int) -> None:
        """This process has ended; its number may become somebody else's."""
        self._write(f"-{pid}\n")

    def close(self) -> None:
        """End the guard; it first ends what it still watches."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        # One write of a short line to a pipe is atomic. A guard that was killed leaves the kernel's signal.
        with contextlib.suppress(OSError):
            os.write(self._process.stdin.fileno(), line.encode())
