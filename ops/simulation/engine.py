"""What the engine does: partitions come and go, chunks are delivered, transactions end."""

from ops.simulation.jobs import KEEPING
from ops.simulation.owned import Owned, Step, Transaction
from ops.simulation.process import Process
from ops.simulation.stage import Stage
from ops.simulation.violation import Violation
from schemas.priorities import Lane
from streams.core.entry import Entry


class Engine(Stage):
    """Actions on partitions and transactions."""

    def do_assign(self, name: str, number: int) -> bool:
        """The group gives a partition that nobody has, and it is recovered and opened."""
        process, source = self._awake(name), self.broker.partitions[number]
        if process is None or process.cut_at is not None or source.owner is not None:
            return False
        if number in process.owned:
            process.close(process.owned[number])  # it hears of the loss before it gets the partition anew
        owned = Owned.taken(source)
        source.owner = process.owned[number] = owned
        # Marked before its first job starts: a former mark says that the last owner died.
        left_open, source.is_marked = source.is_marked, True
        process.machine.opened(number, process.time, left_open=left_open)
        return True

    def do_deliver(self, name: str, number: int, lane: Lane, most: int) -> bool:
        """A chunk of a lane reaches the worker."""
        process, owned = self._open(name, number)
        if process is None or owned is None or owned.stopping or lane in owned.held:
            return False
        tracker, log = owned.trackers[lane], owned.source.lanes[lane]
        end = min(tracker.next + most, len(log))
        if end == tracker.next:
            return False
        records = [r for r in log[tracker.next : end] if not tracker.is_complete(r.offset)]
        tracker.next = end
        owned.open_steps[lane] += len(records)
        entries = [Entry(r.job, r.position, number, Step(owned, r)) for r in records]
        process.machine.arrived(number, lane, entries, process.time)
        # Those before a provider's gate are on no lane's account: they have a bound of their own.
        most = self.limits.full + len(KEEPING) * self.limits.at_gate
        if owned.open_steps[lane] >= most and lane not in owned.held and not owned.closed:
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
        process.transaction = Transaction(parts, reached=process.cut_at is None)
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
        for owned, done, _ in transaction.parts:
            for step in done:
                if step.check_in is not None and process.checking.pop(step.check_in, None) is not None:
                    self.note(lambda n=step.record.name: f"{name}: the check-in of {n} is committed")  # type: ignore[misc]
                    owned.proved = max(owned.proved, owned.sent[step.record.job.job_id])
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
        owned.source.is_marked = process.machine.suspects(number)
        process.machine.closed(number)
        self.broker.commit(number, owned.take(), owned.positions())
        process.close(owned)
        owned.source.owner = None
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

    def _decide(self, transaction: Transaction, is_done: bool) -> None:
        transaction.outcome = "committed" if is_done else "aborted"
        for owned, done, positions in transaction.parts if is_done else ():
            if not owned.closed:
                self.broker.commit(owned.number, done, positions)

    def _end_transaction(self, process: Process, applied: bool) -> None:
        transaction = process.transaction
        if transaction is not None and transaction.outcome == "open":
            is_ours = all(o.source.owner is o for o, _, _ in transaction.parts if not o.closed)
            self._decide(transaction, applied and is_ours and transaction.reached)

    def _fatal(self, process: Process) -> None:
        """Only the broker knows: everything is dropped, and what is still ours is opened anew."""
        process.transaction = None
        for owned in list(process.owned.values()):
            process.close(owned)
            if owned.source.owner is owned:
                owned.source.owner = None
                self.do_assign(process.name, owned.number)
