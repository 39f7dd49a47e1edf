"""The stage of a schedule: broker, provider, processes and the clock, on which all actions happen."""

from collections.abc import Callable

from ops.simulation.broker import Broker
from ops.simulation.jobs import Plan
from ops.simulation.limits.group import Group
from ops.simulation.outside import Provider
from ops.simulation.owned import Execution, Owned
from ops.simulation.process import Process
from ops.simulation.records import Record
from schemas.limits import ProviderLimit
from schemas.records import Control
from streams.core.limits import Limits

NAMES = ("a", "b", "c")


class Stage:
    """What there is; actions are methods `do_...` of those that stand on it."""

    def __init__(
        self, plans: list[Plan], partitions: int, limits: Limits, notes: list[str] | None = None,
        providers: tuple[ProviderLimit, ...] = (),
    ) -> None:  # fmt: skip
        self.plans, self.limits, self.notes = plans, limits, notes
        self.groups = {limit.group: Group(limit) for limit in providers}
        self.lives = 0
        # A third worker only where leases are to be shared: the others are met sooner without it.
        self.names = NAMES if providers else NAMES[:2]
        self.wall = self.latest = 1_700_000_000_000
        self.steady = 1_000.0
        self.provider = Provider()
        # Whether jobs that compute do so without an end.
        self.computes_on = False
        self.sent: set[int] = set()
        self.closed: set[str] = set()
        self.clears: list[Control] = []
        self.broker = Broker(partitions, self.clears)
        self.processes: dict[str, Process | None] = {name: Process(name, self) for name in self.names}

    def note(self, text: Callable[[], str]) -> None:
        """A line of the trace, made only when somebody reads it."""
        if self.notes is not None:
            self.notes.append("    " + text())

    def do_pass(self, ms: int) -> bool:
        """Time goes by, for those who are stopped, too."""
        self.wall += ms
        self.steady += ms / 1000
        self.latest = max(self.latest, self.wall)
        return True

    def do_jump(self, ms: int) -> bool:
        """Somebody sets the clocks."""
        self.wall += ms
        self.latest = max(self.latest, self.wall)
        return True

    def _awake(self, name: str) -> Process | None:
        process = self.processes[name]
        return process if process is not None and process.stopped_at is None else None

    def _open(self, name: str, number: int) -> tuple[Process | None, Owned | None]:
        process = self._awake(name)
        owned = None if process is None else process.owned.get(number)
        return process, None if owned is None or owned.closed else owned

    def _execution(self, name: str, job: str) -> Execution | None:
        process = self._awake(name)
        for execution in process.executions if process is not None else ():
            if execution.record.name == job:
                return execution
        return None

    def records(self) -> list[Record]:
        """Every job that was sent."""
        return self.broker.records
