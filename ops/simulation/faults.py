"""What breaks: processes die, stop, lose Kafka, and the group gives their partitions away."""

from ops.simulation.engine import Engine
from ops.simulation.process import Process

SESSION_S = 10.0


class Faults(Engine):
    """Actions of nature."""

    def do_crash(self, name: str, applied: bool) -> bool:
        """A process is gone; its open transaction was committed or was not."""
        process = self.processes[name]
        if process is None:
            return False
        self._evict(process, applied)
        self.processes[name] = None
        if process.link is not None:
            process.link.gone = True
        return True

    def do_restart(self, name: str) -> bool:
        """A new life."""
        if self.processes[name] is not None:
            return False
        self.processes[name] = Process(name, self)
        return True

    def do_stop(self, name: str) -> bool:
        """SIGSTOP, or a long pause of the machine."""
        process = self._awake(name)
        if process is None:
            return False
        process.stopped_at = self.steady
        if process.link is not None:
            process.link.stopped = True
        return True

    def do_wake(self, name: str) -> bool:
        """It goes on where it stood, and knows nothing."""
        process = self.processes[name]
        if process is None or process.stopped_at is None:
            return False
        process.stopped_at = None
        if process.link is not None:
            process.link.stopped = False
            process.machine.tick(process.time)  # its clock is what has waited longest
        return True

    def do_cut(self, name: str) -> bool:
        """Kafka is out of reach for a process."""
        process = self.processes[name]
        if process is None or process.cut_at is not None:
            return False
        process.cut_at = self.steady
        if process.link is not None:
            process.link.cut = True
        return True

    def do_mend(self, name: str) -> bool:
        """It is back."""
        process = self.processes[name]
        if process is None or process.cut_at is None:
            return False
        process.cut_at = None
        if process.link is not None:
            process.link.cut = False
        if process.transaction is not None:
            process.transaction.reached = True
        return True

    def do_evict(self, name: str, applied: bool) -> bool:
        """The group heard nothing of a process for too long: its partitions are free, it does not know."""
        process = self.processes[name]
        if process is None or not process.owned:
            return False
        silent = [at for at in (process.stopped_at, process.cut_at) if at is not None]
        if not silent:
            return False
        late = max(0.0, min(silent) + SESSION_S - self.steady)
        self.do_pass(round(late * 1000))
        self._evict(process, applied)
        return True

    def _evict(self, process: Process, applied: bool) -> None:
        self._end_transaction(process, applied)
        for owned in process.owned.values():
            if owned.source.owner is owned:
                owned.source.owner = None
