"""Worker processes that faults are done to, and a supervisor that restarts them under their names."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Workers:
    """Named processes of one module; `settings` are theirs but for `instance` and `state_dir`."""

    def __init__(self, module: str, settings: dict[str, Any], folder: Path) -> None:
        self._module, self._settings, self._folder = module, settings, folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.stopped: set[str] = set()
        self.exits: list[str] = []

    def start(self, name: str) -> None:
        """Start one, or start it again."""
        settings = {**self._settings, "instance": name, "state_dir": str(self._folder / name)}
        with (self._folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", self._module, json.dumps(settings)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )

    def targets(self) -> list[str]:
        """Those that a fault can hit now."""
        alive = (name for name, process in self.running.items() if process.poll() is None)
        return sorted(name for name in alive if name not in self.stopped)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.running[name].kill()
        self.running.pop(name).wait()

    def freeze(self, name: str) -> None:
        """SIGSTOP."""
        os.kill(self.running[name].pid, signal.SIGSTOP)
        self.stopped.add(name)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        os.kill(self.running[name].pid, signal.SIGCONT)
        self.stopped.discard(name)

    def terminate(self, name: str) -> None:
        """SIGTERM."""
        self.running[name].terminate()

    def ended(self) -> list[str]:
        """Take those that ended by themselves out; the supervisor starts them again."""
        gone = [name for name, process in self.running.items() if process.poll() is not None]
        for name in gone:
            code = self.running.pop(name).returncode
            if code != 0:
                self.exits.append(f"{name}:{code}")
        return gone

    def finish(self, limit_s: float = 90.0) -> list[str]:
        """SIGTERM to all; the names of those that had to be killed."""
        for name in list(self.stopped):
            self.thaw(name)
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
        hung = []
        for name, process in self.running.items():
            try:
                process.wait(limit_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                hung.append(name)
        return hung

    def log_lines(self, *needles: str) -> dict[str, int]:
        """How often each needle stands in the logs."""
        text = "".join(path.read_text(errors="replace") for path in self._folder.glob("*.log"))
        return {needle: text.count(needle) for needle in needles if needle in text}
