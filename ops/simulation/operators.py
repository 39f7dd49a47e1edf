"""What people do: they send jobs, cancel them, bring them back, clear, pause and let go on."""

from functools import partial

from ops.simulation.jobs import KINDS, OPERATED, job_of
from ops.simulation.stage import Stage
from schemas.records import Control
from streams.core.orders import CLEAR

# So many jobs a schedule has at most, those that were brought back included.
MOST_RECORDS = 14


class Operators(Stage):
    """Actions of people."""

    def do_send(self, number: int) -> bool:
        """A planned job is on its lane."""
        if number in self.sent or number >= len(self.plans):
            return False
        self.sent.add(number)
        plan = self.plans[number]
        self.broker.send(plan.partition, plan.lane, lambda offset: job_of(plan, offset, self.wall))
        return True

    def do_again(self, number: int, series: int) -> bool:
        """A job that died or was cancelled is brought back: as its next series, or (0) by its id alone.

        Two people may bring it back at once, as the same series.
        """
        if number >= len(self.plans) or not self.broker.may_come_back(f"job-{number}", series):
            return False
        plan = self.plans[number]
        if len(self.broker.records) >= MOST_RECORDS or (not series and not KINDS[plan.kind].unique):
            return False
        make = partial(job_of, plan, now=self.wall, series=series)
        self.broker.send(plan.partition, plan.lane, make)
        return True

    def do_clear(self, queue: str, kind: str | None, state: str | None) -> bool:
        """Somebody clears a queue, or a type of it: what waits there now is to end."""
        before = self.latest
        self.clears.append(Control(CLEAR, queue, before, "ada", kind, before=before, state=state))
        return True

    def do_cancel(self, number: int) -> bool:
        """Somebody cancels a job: one that is there, runs, has ended, or is still to come."""
        plan = self.plans[number] if number < len(self.plans) else None
        if plan is None or f"job-{number}" in self.broker.history.cancels:
            return False
        self.broker.cancel(plan.partition, f"job-{number}", plan.key, self.wall)
        return True

    def do_order(self, gate: str) -> bool:
        """An operator pauses a queue or holds a type, or lets it go on."""
        self.closed ^= {gate}
        return True

    def do_hear(self, name: str) -> bool:
        """The orders reach a process."""
        process = self._awake(name)
        if process is None or process.cut_at is not None:
            return False
        now_closed = process.closed & OPERATED
        for gate in sorted(self.closed - now_closed):
            process.close_gate(gate)
        for gate in sorted(now_closed - self.closed):
            process.open_gate(gate, None)
        return process.hear_clears() or now_closed != self.closed

    def do_grant(self, name: str, gate: str, room: int | None) -> bool:
        """A provider has room again: without bounds, for so many of those that wait, or none any more (0)."""
        process = self._awake(name)
        if process is None or self.groups:
            return False
        if room == 0:
            process.close_gate(gate)
        else:
            process.open_gate(gate, room)
        return True
