"""The world of a schedule: every action that can happen in it, each a method with plain arguments.

An action that cannot happen now answers False and does nothing, so that a shortened schedule still runs.
"""

from collections.abc import Callable

from ops.simulation.broker import Broker, Record
from ops.simulation.jobs import KINDS, Plan, job_of
from ops.simulation.outside import Provider
from ops.simulation.owned import Execution, Owned, Step, Transaction
from ops.simulation.process import Process
from ops.simulation.violation import Violation
from schemas.priorities import Lane
from schemas.records import Failure
from streams.core.entry import Entry
from streams.core.home import Limits

SESSION_S = 10.0
NAMES = ("a", "b")


class World:
    """Broker, provider, processes and the clock."""

    def __init__(
        self, plans: list[Plan], partitions: int, limits: Limits, notes: list[str] | None = None
    ) -> None:
        self.plans, self.limits, self.notes = plans, limits, notes
        self.wall = self.latest = 1_700_000_000_000
        self.steady = 1_000.0
        self.broker, self.provider = Broker(partitions), Provider()
        self.processes: dict[str, Process | None] = {name: Process(name, self) for name in NAMES}
        self.sent: set[int] = set()

    def note(self, text: Callable[[], str]) -> None:
        """A line of the trace, made only when somebody reads it."""
        if self.notes is not None:
            self.notes.append("    " + text())

    def do(self, action: tuple[object, ...]) -> bool:
        """One action and a millisecond."""
        self.do_pass(1)
        done: bool = getattr(self, "do_" + str(action[0]))(*action[1:])
        return done

    # -- jobs and time

    def do_send(self, number: int) -> bool:
        """A planned job is on its lane."""
        if number in self.sent or number >= len(self.plans):
            return False
        self.sent.add(number)
        plan = self.plans[number]
        self.broker.send(plan.partition, plan.lane, lambda offset: job_of(plan, offset, self.wall))
        return True

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

    def do_tick(self, name: str) -> bool:
        """The clock task of a worker comes round."""
        process = self._awake(name)
        if process is None:
            return False
        process.machine.tick(process.time)
        return True

    # -- what the engine does

    def do_assign(self, name: str, number: int) -> bool:
        """The group gives a partition that nobody has, and it is recovered and opened."""
        process, source = self._awake(name), self.broker.partitions[number]
        if process is None or process.cut_at is not None or source.owner is not None:
            return False
        if number in process.owned:
            process.close(process.owned[number])  # it hears of the loss before it gets the partition anew
        owned = Owned.taken(source)
        source.owner = process.owned[number] = owned
        process.machine.opened(number, process.time)
        return True

    def do_deliver(self, name: str, number: int, lane: Lane, most: int) -> bool:
        """A chunk of a lane reaches the worker."""
        process, owned = self._open(name, number)
        if process is None or owned is None or owned.stopping or lane in owned.held:
            return False
        tracker, log = owned.trackers[lane], owned.source.lanes[lane]
        records = [r for r in log[tracker.next : tracker.next + most] if not tracker.is_complete(r.offset)]
        end = min(tracker.next + most, len(log))
        if end == tracker.next:
            return False
        tracker.next = end
        owned.open_steps[lane] += len(records)
        entries = [Entry(r.job, r.position, number, Step(owned, r)) for r in records]
        process.machine.arrived(number, lane, entries, process.time)
        if owned.open_steps[lane] >= self.limits.full and lane not in owned.held and not owned.closed:
            raise Violation("memory is bounded", f"{owned.open_steps[lane]} open steps, the lane is not held")
        return True

    def do_seal(self, name: str) -> bool:
        """Everything that is complete goes into a transaction."""
        process = self._awake(name)
        if process is None or process.transaction is not None:
            return False
        parts = [(o, o.take(), o.positions()) for o in process.owned.values() if o.done and not o.closed]
        if not parts:
            return False
        process.transaction = Transaction(parts)
        return True

    def do_settle(self, name: str, outcome: str) -> bool:
        """The process hears what became of its transaction: `ok`, or that it cannot know (`+` done, `-` not).

        An abort is not heard of: the same batches are sent again.
        """
        process = self._awake(name)
        if process is None or process.transaction is None or process.cut_at is not None:
            return False
        transaction = process.transaction
        if transaction.outcome == "open":
            is_ours = all(o.source.owner is o for o, _, _ in transaction.parts if not o.closed)
            self._decide(transaction, is_ours and outcome != "-")
        if transaction.outcome == "aborted" or outcome != "ok":
            self._fatal(process)
            return True
        process.transaction = None
        for _, done, _ in transaction.parts:
            for step in done:
                if step.check_in is not None and process.checking.pop(step.check_in, None) is not None:
                    self.note(lambda n=step.record.name: f"{name}: the check-in of {n} is committed")  # type: ignore[misc]
                    process.machine.committed(step.check_in, process.time)
        return True

    def do_revoke(self, name: str, number: int) -> bool:
        """The group wants a partition back: what runs may end."""
        process, owned = self._open(name, number)
        if process is None or owned is None or owned.stopping:
            return False
        owned.stopping = True
        process.machine.closing(number)
        return True

    def do_handover(self, name: str, number: int) -> bool:
        """The drain is over: a last commit, and the partition is free."""
        process, owned = self._open(name, number)
        if process is None or owned is None or not owned.stopping:
            return False
        if process.transaction is not None or process.cut_at is not None or owned.source.owner is not owned:
            return False
        process.machine.closed(number)
        self.broker.commit(number, owned.take(), owned.positions())
        process.close(owned)
        owned.source.owner = None
        return True

    # -- the handlers

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
        if execution is None or (how == "stop" and not execution.owned.closed):
            return False
        process = self._awake(name)
        assert process is not None
        if how == "ok" and not execution.called:
            self._call(execution)
        process.forget(execution)
        attempt, time = execution.attempt, process.time
        if how == "ok":
            process.machine.returned(attempt, '{"success":true}', "written", time)
        elif how == "stop":
            process.machine.stopped(attempt, time)
        else:
            process.machine.raised(attempt, Failure(how, how, retryable=how != "refuse"), None, time)
        return True

    def do_progress(self, name: str, job: str, stage: str) -> bool:
        """A handler says how far it is."""
        execution, process = self._execution(name, job), self._awake(name)
        if execution is None or process is None:
            return False
        process.machine.progressed(execution.attempt, 50, stage, None, process.time)
        return True

    # -- faults

    def do_crash(self, name: str, applied: bool) -> bool:
        """A process is gone; its open transaction was committed or was not."""
        process = self.processes[name]
        if process is None:
            return False
        self._evict(process, applied)
        self.processes[name] = None
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
        return True

    def do_wake(self, name: str) -> bool:
        """It goes on where it stood, and knows nothing."""
        process = self.processes[name]
        if process is None or process.stopped_at is None:
            return False
        process.stopped_at = None
        return True

    def do_cut(self, name: str) -> bool:
        """Kafka is out of reach for a process."""
        process = self.processes[name]
        if process is None or process.cut_at is not None:
            return False
        process.cut_at = self.steady
        return True

    def do_mend(self, name: str) -> bool:
        """It is back."""
        process = self.processes[name]
        if process is None or process.cut_at is None:
            return False
        process.cut_at = None
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

    def do_drop(self, name: str, number: int, applied: bool) -> bool:
        """The engine closes a partition that is lost; the worker is told only some steps later."""
        process, owned = self._open(name, number)
        if process is None or owned is None or owned.source.owner is not owned:
            return False
        self._end_transaction(process, applied)
        owned.closed, owned.source.owner = True, None
        return True

    def do_notice(self, name: str) -> bool:
        """A process learns which partitions are no longer its own."""
        process = self._awake(name)
        if process is None or process.cut_at is not None:
            return False
        lost = [owned for owned in process.owned.values() if owned.source.owner is not owned]
        for owned in lost:
            process.close(owned)
        return bool(lost)

    # -- parts of actions

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

    def _call(self, execution: Execution) -> None:
        execution.called = True
        job = execution.record.job
        key = job.idempotency.hex() if job.idempotency else job.job_id
        if KINDS[job.type].check_in:
            self.provider.call(key)

    def _decide(self, transaction: Transaction, is_done: bool) -> None:
        transaction.outcome = "committed" if is_done else "aborted"
        for owned, done, positions in transaction.parts if is_done else ():
            if not owned.closed:
                self.broker.commit(owned.number, done, positions)

    def _evict(self, process: Process, applied: bool) -> None:
        self._end_transaction(process, applied)
        for owned in process.owned.values():
            if owned.source.owner is owned:
                owned.source.owner = None

    def _end_transaction(self, process: Process, applied: bool) -> None:
        transaction = process.transaction
        if transaction is not None and transaction.outcome == "open":
            is_ours = all(o.source.owner is o for o, _, _ in transaction.parts if not o.closed)
            self._decide(transaction, applied and is_ours)

    def _fatal(self, process: Process) -> None:
        """Only the broker knows: everything is dropped, and what is still ours is opened anew."""
        process.transaction = None
        for owned in list(process.owned.values()):
            process.close(owned)
            if owned.source.owner is owned:
                owned.source.owner = None
                self.do_assign(process.name, owned.number)

    def records(self) -> list[Record]:
        """Every job that was sent."""
        return self.broker.records
