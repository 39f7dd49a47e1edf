"""What handlers do, and the clock of a worker."""

from ops.simulation.bounds import check_bounds
from ops.simulation.jobs import BACKOFF_MS, KINDS
from ops.simulation.owned import Execution
from ops.simulation.stage import Stage
from schemas.records import Failure

# What a provider asks for that is called too often.
PAUSE_S = 3.0
# How far a worker's loop is behind when its clock comes round: half the time not, else a little or very far.
BEHIND_S = (0.0, 0.0, 0.1, 60.0)


class Handlers(Stage):
    """Actions of handlers."""

    def do_tick(self, name: str) -> bool:
        """The clock task of a worker comes round."""
        process = self._awake(name)
        if process is None:
            return False
        behind_s = BEHIND_S[process.clock_turns % len(BEHIND_S)]
        process.clock_turns += 1
        process.machine.tick(process.time, behind_s)
        check_bounds(process, behind_s)
        return True

    def do_call(self, name: str, job: str) -> bool:
        """A handler calls its provider."""
        execution = self._execution(name, job)
        if execution is None or execution.called:
            return False
        self._call(execution)
        return True

    def do_end(self, name: str, job: str, how: str) -> bool:
        """A handler ends: `ok`, `fail`, `refuse`, `timeout`, or `stop` (cancelled with its partition)."""
        execution = self._execution(name, job)
        if execution is None or (how == "stop" and not (execution.owned.closed or execution.killed)):
            return False
        process = self._awake(name)
        assert process is not None
        if how == "ok" and not execution.called:
            self._call(execution)
        process.forget(execution)
        attempt, time = execution.attempt, process.time
        pause_s = PAUSE_S if how == "rate_limited" else None
        pause_ms = BACKOFF_MS if pause_s is None else round(pause_s * 1000)
        execution.owned.asked[job] = time.wall + pause_ms
        if how == "ok":
            process.machine.returned(attempt, f'{{"by":"{job}"}}', "written", time)
        elif how == "stop":
            process.machine.stopped(attempt, time)
        else:
            failure = Failure(how, how, retryable=how != "refuse")
            process.machine.raised(attempt, failure, pause_s, time)
        return True

    def do_progress(self, name: str, job: str, stage: str) -> bool:
        """A handler says how far it is."""
        execution, process = self._execution(name, job), self._awake(name)
        if execution is None or process is None:
            return False
        process.machine.progressed(execution.attempt, 50, stage, None, process.time)
        return True

    def _call(self, execution: Execution) -> None:
        execution.called = True
        job = execution.record.job
        key = job.idempotency.hex() if job.idempotency else job.job_id
        if KINDS[job.type].check_in:
            self.provider.call(key)
