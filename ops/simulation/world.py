"""The world of a schedule: every action that can happen in it, each a method with plain arguments.

An action that cannot happen now answers False and does nothing, so that a shortened schedule still runs.
"""

from ops.simulation.faults import Faults
from ops.simulation.handlers import Handlers
from ops.simulation.jobs import BACKOFF_MS
from ops.simulation.limiting import Limiting
from ops.simulation.operators import Operators

RETRY_MS = BACKOFF_MS + 100


class World(Operators, Handlers, Faults, Limiting):
    """All of it."""

    def do(self, action: tuple[object, ...]) -> bool:
        """One action and a millisecond; nothing at all when it cannot happen, so that it may be left out."""
        done: bool = getattr(self, "do_" + str(action[0]))(*action[1:])
        if done:
            self.do_pass(1)
        return done

    def do_run(self, name: str, how: str) -> bool:
        """A retry's time passes, and all goes well up to the calls, which end so."""
        self.do_pass(RETRY_MS)
        self.do_tick(name)
        self.do_flow(name)
        self._answer(name)
        if self.do_seal(name) and self.do_settle(name, "ok"):
            process = self._awake(name)
            for execution in process.executions[:] if process is not None else ():
                self.do_end(name, execution.record.name, how)
        return True
