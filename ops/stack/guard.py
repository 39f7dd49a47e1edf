"""Ends the parts of a supervisor that has died without stopping them. Standard library only: run as a file.

It reads a pipe that only the supervisor can write: `+PID SIGNAL` for a part that started, `-PID` for one that
ended. End of file means that the supervisor is gone; what is still listed then gets its signal, and SIGKILL,
with its whole process group, when it has not obeyed after some seconds. On Linux the parts get their signal
from the kernel at once (PR_SET_PDEATHSIG); there the guard catches what hangs or had children of its own.
Elsewhere it does all.
"""

import contextlib
import os
import signal
import sys
import time

GRACE_S = 10.0


def listed(lines: "list[str]") -> dict[int, int]:
    """Return the parts that started and did not end, with the signal each wants to be ended by."""
    parts: dict[int, int] = {}
    for line in lines:
        words = line[1:].split()
        if line.startswith("+"):
            parts[int(words[0])] = int(words[1])
        elif line.startswith("-"):
            parts.pop(int(words[0]), None)
    return parts


def end(parts: dict[int, int], grace_s: float) -> None:
    """Signal each part, wait for them to end, then kill the process groups of all."""
    for pid, number in parts.items():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    deadline = time.monotonic() + grace_s
    while any(_lives(pid) for pid in parts) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in parts:
        # Each part leads a group of its own; what the part started may have outlived it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    # A terminal's Ctrl-C or hang-up is the supervisor's business.
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    end(listed(sys.stdin.readlines()), GRACE_S)
