"""Two workers killed with SIGKILL in the middle of everything; the supervisor starts them again."""

import os
import signal
from dataclasses import dataclass, field

from ops.demo.checks import Check, equal
from ops.demo.gateway import DemoError
from ops.demo.observer import Observer
from ops.demo.surroundings import restarts, worker_pid
from ops.demo.wait import until
from ops.stack.folder import DataFolder
from ops.stack.progress import Say

VICTIMS = ("worker-1", "worker-2")
START_LIMIT_S = 120.0
BACK_LIMIT_S = 120.0


@dataclass
class Kills:
    """Kills each victim once, as soon as so many jobs have ended."""

    folder: DataFolder
    say: Say
    pids: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    open_jobs: int = 0

    async def strike(self, observer: Observer, accepted: dict[str, int], after: int) -> None:
        """Wait until `after` jobs have ended and others are open, then kill."""

        def in_the_middle() -> bool:
            # Where handing in is slower than working, all that was accepted may have ended for a moment.
            return after <= observer.ended(list(accepted)) < len(accepted)

        await until(in_the_middle, START_LIMIT_S, every_s=0.05)
        for name in VICTIMS:
            pid = worker_pid(self.folder, name)
            if pid is None:
                raise DemoError(f"{name} does not run")
            self.pids[name], self.before[name] = pid, restarts(self.folder, name)
            os.kill(pid, signal.SIGKILL)
        self.open_jobs = len(accepted) - observer.ended(list(accepted))
        self.say(f"killed {', '.join(VICTIMS)} with SIGKILL while {self.open_jobs} jobs were open")

    async def check(self) -> list[Check]:
        """They are back, as other processes, and there was work when they died."""
        await until(lambda: all(map(self._is_back, VICTIMS)), BACK_LIMIT_S)
        back = [name for name in VICTIMS if self._is_back(name)]
        return [
            equal("the killed workers are back", back, list(VICTIMS)),
            equal("they were killed with jobs open", self.open_jobs > 0, True),
        ]

    def _is_back(self, name: str) -> bool:
        pid = worker_pid(self.folder, name)
        again = restarts(self.folder, name) > self.before.get(name, 0)
        return pid is not None and pid != self.pids.get(name) and again
