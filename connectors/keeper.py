"""Runs a command and ends everything it started. Standard library only: run as a file, not imported.

    python -I -S keeper.py LIFELINE GRACE_S COMMAND...

LIFELINE is the read end of a pipe. When its other end closes, because the one who holds it closed it or
died, the command's process group gets SIGTERM, GRACE_S seconds later SIGKILL. When the command ends, by
itself or so, all that it left is killed: its group, and on Linux every descendant, whatever session it
moved to. The exit status is the command's, 128 + n when signal n ended it, 127 when it could not be
started.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

Command = subprocess.Popen[bytes]
Control = Callable[..., Any]

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LOOK_EVERY_S = 0.02


def main(lifeline: int, grace_s: float, argv: list[str]) -> int:
    """Run the command to its end, or to the end of the lifeline."""
    os.set_inheritable(lifeline, False)
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, lambda *_: None)
    control = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    if control is not None:
        # Orphans of the command become children of this process, so that it finds them.
        control(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        # This process has one thread, so code between fork and exec is safe.
        prepare = _dies_with_keeper(control)
        command = subprocess.Popen(argv, start_new_session=True, preexec_fn=prepare)  # noqa: PLW1509
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr)
        return 127
    # Only the command holds the ends of the input and output pipes from now on.
    _let_go_of_streams()
    ended = _watch(command, lifeline, grace_s)
    _kill_group(command.pid)
    if control is not None:
        _kill_descendants()
    return ended if ended >= 0 else 128 - ended


def _dies_with_keeper(control: Control | None) -> Callable[[], None]:
    keeper = os.getpid()

    def arrange() -> None:
        for restored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(restored, signal.SIG_DFL)
        if control is not None:
            control(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != keeper:
                os._exit(127)

    return arrange


def _let_go_of_streams() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)


def _watch(command: Command, lifeline: int, grace_s: float) -> int:
    wait = _LOOK_EVERY_S / 20
    while command.poll() is None:
        readable, _, _ = select.select([lifeline], [], [], wait)
        if readable:
            return _end(command, grace_s)
        wait = min(_LOOK_EVERY_S, wait * 2)
    return int(command.returncode)


def _end(command: Command, grace_s: float) -> int:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(command.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while command.poll() is None and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
    _kill_group(command.pid)
    return command.wait()


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _kill_descendants() -> None:
    """Kill what became a child of this process until there is none: its children come here in turn."""
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _children() -> list[int]:
    own, found = os.getpid(), []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:
                # The program's name stands in parentheses and may hold anything; then state and parent.
                if int(stat.read().rpartition(b")")[2].split()[1]) == own:
                    found.append(int(name))
    return found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
