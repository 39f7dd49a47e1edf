"""The servers that the tests run against: the local stack itself, started for this session on free ports.

Started by the same command as a person's; ends with the test session however that ends.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ops.stack.errors import StackError
from ops.stack.folder import DataFolder
from ops.stack.leash import leashed
from ops.stack.process import tail
from ops.stack.state import READY, PartState, StackState, read
from ops.stack.status import described

ROOT = Path(__file__).parents[1]
START_LIMIT_S = 180.0
STOP_LIMIT_S = 90.0

# What would make the stack use the developer's own services or data, or set up its identity.
FOREIGN = ("KAFKA_", "DATABASE_URL", "REDIS_URL", "TIERFLOW_", "JWT_", "PG")


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without any setting of the product, plus `extra`."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)} | dict(extra)


class TestStack:
    """`tierflow up` as a child process, in a folder of its own. A context manager, or `start` and `stop`."""

    __test__ = False

    def __init__(self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """`arguments` go to `tierflow up`; without `--infrastructure` among them all roles are started."""
        self.folder = DataFolder(folder)
        self._arguments = arguments
        self._environment = clean_environment(environment or {})
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Return when everything is ready. StackError with the last lines otherwise. Main thread only."""
        self.begin()
        self.wait_ready()
        return self

    def begin(self) -> int:
        """Start it and return the supervisor's pid at once."""
        self.folder.create()
        command = (sys.executable, "-m", "ops.cli.main", "up", "--data", str(self.folder.root))
        port = () if "--infrastructure" in self._arguments or "--port" in self._arguments else ("--port", "0")
        with self.folder.log("supervisor").open("ab") as output:
            self._child = subprocess.Popen(
                leashed((*command, *port, *self._arguments), signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=self._environment,
                start_new_session=True,
            )
        return self._child.pid

    def wait_ready(self) -> StackState:
        """Return what runs once all of it is ready."""
        assert self._child is not None
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            now = read(self.folder.state)
            if now and now.supervisor == self._child.pid and now.phase == READY:
                return now
            ended = self._child.poll()
            if ended is not None or time.monotonic() > deadline:
                why = (
                    f"ended with {ended}" if ended is not None else f"was not ready in {START_LIMIT_S:.0f} s"
                )
                self.stop()
                raise StackError(f"the stack of the tests {why}", tail(self.folder.log("supervisor"), 25))
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it as Ctrl-C would; return the exit status."""
        assert self._child is not None
        self._child.send_signal(number)
        return self._child.wait(STOP_LIMIT_S)

    @property
    def state(self) -> StackState:
        """What runs now; AssertionError when nothing does."""
        now = read(self.folder.state)
        assert now is not None, f"nothing runs on {self.folder.root}"
        return now

    def part(self, name: str) -> PartState:
        """Return one part as it is now."""
        return next(part for part in self.state.parts if part.name == name)

    def report(self) -> dict[str, Any]:
        """Return what `tierflow status --json` would."""
        return described(self.state)

    def said(self) -> str:
        """Return all lines of the supervisor."""
        return self.folder.log("supervisor").read_text(errors="replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
