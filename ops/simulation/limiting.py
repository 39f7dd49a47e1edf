"""Workers get leases from the real limiters: what goes between them, and the limiters' own lives.

Without providers in the world none of this can happen, and the gates of providers are opened by hand.
"""

from ops.simulation.limits.group import MANY
from ops.simulation.process import Process
from ops.simulation.stage import Stage
from schemas.records import LimitGrant

# Clocks of workers that are awake come round this often while time goes by.
ROUND_MS = 1_000
TOLD_MS = 250


class Limiting(Stage):
    """Actions between workers and limiters."""

    def do_pass(self, ms: int) -> bool:
        """Time goes by; workers that are awake look after their calls."""
        while ms > ROUND_MS and self.groups and (busy := self._with_calls()):
            ms -= ROUND_MS
            super().do_pass(ROUND_MS)
            for process in busy:
                self._look_after(process)
        return super().do_pass(ms)

    def do_ask(self, name: str) -> bool:
        """What a worker has to say to the limiters is handed to its producer."""
        process = self._awake(name)
        if process is None or process.link is None:
            return False
        requests = process.machine.requests(process.time)
        process.link.outbox += requests
        return bool(requests)

    def do_post(self, name: str, how: str) -> bool:
        """The oldest of it reaches the log (`ok`), does not (`lost`), or does and nobody knows (`?`)."""
        process = self._awake(name)
        if process is None or process.link is None:
            return False
        return process.link.send(self.groups, how, self.steady)

    def do_read(self, name: str, most: int) -> bool:
        """Grants reach a worker, and jobs go on with them."""
        process = self._awake(name)
        if process is None:
            return False
        return bool(self._read(process, most))

    def do_limiter(self, name: str, what: str) -> bool:
        """Something happens to the limiter of a group."""
        return name in self.groups and self.groups[name].happens(what, self.steady)

    def do_flow(self, name: str) -> bool:
        """All goes well for a moment: a worker asks and is answered, as far as limiters are there."""
        self.flow(name)
        return bool(self.groups)

    def flow(self, name: str) -> bool:
        """The same; whether there were tokens."""
        process = self._awake(name)
        if process is None or process.link is None:
            return False
        self.do_ask(name)
        while self.do_post(name, "ok"):
            pass
        for group in self.groups.values():
            if not group.hear(MANY, self.steady):
                group.serve(self.steady)
            group.commit(self.steady)
        return any(grant.tokens and grant.worker == name for grant in self._read(process, MANY))

    def _answer(self, name: str) -> None:
        """A moment later limiters tell why those who still wait get nothing."""
        self.do_pass(TOLD_MS)
        for group in self.groups.values():
            group.serve(self.steady)
            group.commit(self.steady)
        self.do_read(name, MANY)

    def _read(self, process: Process, most: int) -> list[LimitGrant]:
        read: list[LimitGrant] = []
        for group in self.groups.values():
            grants = [] if process.link is None else process.link.grants(group, most)
            for grant in grants:
                process.machine.granted(grant, process.time)
            read += grants
        return read

    def _with_calls(self) -> list[Process]:
        return [p for p in self.processes.values() if p is not None and p.is_awake and p.calls]

    def _look_after(self, process: Process) -> None:
        process.machine.tick(process.time)
        self.do_ask(process.name)
        while self.do_post(process.name, "ok"):
            pass
