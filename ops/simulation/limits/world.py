"""Workers that call one provider under its limit, the limiter that they ask, the log in between, and the
clock.

Real are `Limiter` and `Leases`. An action that cannot happen now answers False and does nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from ops.simulation.limits.group import Group
from ops.simulation.limits.link import Link
from ops.simulation.limits.provider import Call
from schemas.limits import ProviderLimit
from streams.core.leases import CallEnd, Lease, Leases

NAMES = ("a", "b", "c")
GROUP = "stripe"
# Clock tasks come round this often in a process that is awake.
TICK_S = 0.1

ENDS = {
    "ok": CallEnd(True),
    "fail": CallEnd(False),
    "none": CallEnd(),
    "slow": CallEnd(True, 0),
    "later": CallEnd(True, 3_000),
}


@dataclass(eq=False, kw_only=True)
class Worker(Link):
    """One life of a worker. `taken` are leases whose check-in is under way."""

    waiting: list[int] = field(default_factory=lambda: [0, 0, 0])
    taken: list[Lease] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


class World:
    """One provider group and everyone around it."""

    def __init__(self, limit: ProviderLimit, notes: list[str] | None = None) -> None:
        self.limit, self.notes = limit, notes
        self.now, self._lives = 1_000.0, 0
        self.group = Group(limit)
        self.provider = self.group.provider
        self.workers: dict[str, Worker | None] = {name: self._born(name) for name in NAMES}
        self.done = 0

    def note(self, text: Callable[[], str]) -> None:
        """A line of the trace, made only when somebody reads it."""
        if self.notes is not None:
            self.notes.append(f"    {self.now:.3f} {text()}")

    def do(self, action: tuple[object, ...]) -> bool:
        """One action, and a millisecond."""
        self.do_pass(1)
        done: bool = getattr(self, "do_" + str(action[0]))(*action[1:])
        return done

    # -- time and demand

    def do_pass(self, ms: int) -> bool:
        """Time goes by; whoever is awake looks after its calls."""
        rest = ms / 1000
        while rest > 0:
            step = min(rest, TICK_S)
            rest -= step
            self.now += step
            for worker in self.workers.values():
                if worker is not None and not worker.stopped:
                    self._cancel_lost(worker)
        return True

    def do_want(self, name: str, lane: int, jobs: int) -> bool:
        """Jobs become ready on a worker."""
        worker = self.workers[name]
        if worker is None:
            return False
        worker.waiting[lane] += jobs
        return True

    def do_order(self, order: str) -> bool:
        """An operator's word is in the log."""
        self.group.order(order, self.now)
        return True

    # -- a worker

    def do_ask(self, name: str) -> bool:
        """Its clock comes round: what is due is handed to the producer."""
        worker = self._awake(name)
        if worker is None:
            return False
        demand = {GROUP: tuple(worker.waiting)}
        requests = worker.leases.requests(demand, self.now)
        worker.outbox += requests
        return bool(requests)

    def do_send(self, name: str, how: str) -> bool:
        """The oldest request reaches the log (`ok`), does not (`lost`), or does and nobody knows (`?`)."""
        worker = self.workers[name]
        return worker is not None and worker.send({GROUP: self.group}, how, self.now)

    def do_read(self, name: str, most: int) -> bool:
        """Grants reach the worker."""
        worker = self._awake(name)
        if worker is None:
            return False
        grants = worker.grants(self.group, most)
        for grant in grants:
            worker.leases.granted(grant, self.now)
        return bool(grants)

    def do_take(self, name: str) -> bool:
        """A job gets a lease; its check-in is on its way."""
        worker = self._awake(name)
        lane = None if worker is None else next((n for n in range(3) if worker.waiting[n]), None)
        if worker is None or lane is None:
            return False
        lease = worker.leases.take(GROUP, self.now)
        if lease is None:
            return False
        worker.waiting[lane] -= 1
        worker.taken.append(lease)
        return True

    def do_start(self, name: str) -> bool:
        """The check-in is committed: the call starts, unless that took too long."""
        worker = self._awake(name)
        if worker is None or not worker.taken:
            return False
        lease = worker.taken.pop(0)
        if lease.over:
            return False
        if not lease.is_good(self.now):
            worker.leases.release(lease, CallEnd())
            worker.waiting[0] += 1
            return True
        call = Call(worker, lease, self.now)
        worker.calls.append(call)
        self.note(lambda: f"{name} calls{' (probe)' if lease.probe else ''}")
        self.provider.called(call, self.now)
        return True

    def do_end(self, name: str, number: int, how: str) -> bool:
        """A call ends."""
        worker = self._awake(name)
        if worker is None or not worker.calls:
            return False
        call = worker.calls.pop(number % len(worker.calls))
        call.ended = True
        worker.leases.release(call.lease, ENDS[how])
        self.done += 1
        return True

    def do_crash(self, name: str) -> bool:
        """A worker is gone; what it had sent may still arrive, its calls go on at the provider."""
        worker = self.workers[name]
        if worker is None:
            return False
        worker.gone = True
        self.workers[name] = None
        return True

    def do_restart(self, name: str) -> bool:
        """A new life."""
        if self.workers[name] is not None:
            return False
        self.workers[name] = self._born(name)
        return True

    def do_stop(self, name: str) -> bool:
        """SIGSTOP."""
        worker = self._awake(name)
        if worker is None:
            return False
        worker.stopped = True
        return True

    def do_wake(self, name: str) -> bool:
        """It goes on where it stood."""
        worker = self.workers[name]
        if worker is None or not worker.stopped:
            return False
        worker.stopped = False
        self._cancel_lost(worker)
        return True

    def do_cut(self, name: str) -> bool:
        """Kafka is out of its reach."""
        worker = self.workers[name]
        if worker is None or worker.cut:
            return False
        worker.cut = True
        return True

    def do_mend(self, name: str) -> bool:
        """It is back."""
        worker = self.workers[name]
        if worker is None or not worker.cut:
            return False
        worker.cut = False
        return True

    # -- the limiter

    def do_hear(self, most: int) -> bool:
        """The owner reads a chunk of requests and answers."""
        return self.group.hear(most, self.now)

    def do_serve(self) -> bool:
        """The owner's clock comes round."""
        return self.group.serve(self.now)

    def do_commit(self) -> bool:
        """What the owner wrote is there for all."""
        return self.group.commit(self.now)

    def do_fall(self, committed: bool) -> bool:
        """The owner is gone, its open transaction committed or not."""
        return self.group.fall(self.now, committed=committed)

    def do_sleep(self) -> bool:
        """The owner is stopped beyond its session: the group gives its partition away."""
        return self.group.sleep()

    def do_rise(self) -> bool:
        """A new owner, from what is committed."""
        return self.group.rise(self.now)

    def do_haunt(self) -> bool:
        """A former owner wakes up and answers: its transaction is fenced, nobody hears of it."""
        return self.group.haunt(self.now)

    def do_flow(self, name: str, starts: int) -> bool:
        """All goes well for a moment: a request is answered, and jobs get their leases and start."""
        steps: list[tuple[object, ...]] = [("ask", name), ("send", name, "ok"), ("hear", 50), ("commit",)]
        steps += [("read", name, 50), *[("take", name)] * starts, *[("start", name)] * starts]
        done = [self.do(step) for step in steps]
        return any(done)

    # -- parts of actions

    def _born(self, name: str) -> Worker:
        self._lives += 1
        leases = Leases(name, self._lives, [GROUP])
        return Worker(name=name, leases=leases, read={GROUP: len(self.group.grants)})

    def _awake(self, name: str) -> Worker | None:
        worker = self.workers[name]
        return None if worker is None or worker.stopped else worker

    def _cancel_lost(self, worker: Worker) -> None:
        for lease in worker.leases.lost(self.now):
            call = next((call for call in worker.calls if call.lease is lease), None)
            if call is not None:
                worker.calls.remove(call)
                call.ended = True
            worker.leases.release(lease, CallEnd())
            worker.waiting[0] += 1
