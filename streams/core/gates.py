"""Gates: named reasons why a job whose turn has come may not start.

`queue:<name>` is paused by an operator, `type:<kind>` is held after too many deaths, `group:<name>` has no
room at a provider, or no process for a job that computes. A job at the gate of a queue or a type holds
neither slot nor key: it goes to the table. One at a group's gate keeps its key, and the first of them wait in
memory, in their order.
"""

from bisect import insort
from collections.abc import Collection, Iterator

from schemas.catalogue import JOB_TYPES
from schemas.limits import find_group
from schemas.priorities import Lane
from schemas.records import Job
from streams.core.entry import Entry

Rank = tuple[int, int, int, bytes]


def queue_gate(queue: str) -> str:
    """The gate of a queue."""
    return f"queue:{queue}"


def type_gate(kind: str) -> str:
    """The gate of a job type."""
    return f"type:{kind}"


def group_gate(group: str) -> str:
    """The gate of a provider group."""
    return f"group:{group}"


PROCESS_GATE = group_gate("processes")
"""Where jobs wait for a process; no provider is called so (`schemas/limits.py`)."""


def keeps_key(gate: str) -> bool:
    """Whether a job that waits there still holds its key."""
    return gate.startswith("group:")


class Gates:
    """Which gates are closed in this process, and who waits in memory at those that keep keys."""

    def __init__(self, share: int, in_process: Collection[str] = ()) -> None:
        self.closed: set[str] = set()
        self._share, self._in_process = share, in_process
        self._waiting: dict[str, list[tuple[Rank, Entry]]] = {}
        self._names: dict[tuple[str, str], tuple[str, ...]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def is_open(self, gate: str) -> bool:
        """Whether jobs pass."""
        return gate not in self.closed

    def closed_for(self, job: Job) -> str | None:
        """The first closed gate before a job; a provider's is the last."""
        if not self.closed:
            return None
        for name in self._of(job):
            if name in self.closed:
                return name
        return None

    def waiting(self, gate: str) -> int:
        """How many wait in memory."""
        return len(self._waiting.get(gate, ()))

    def by_lane(self, gate: str) -> list[int]:
        """How many wait in memory, lane by lane."""
        counts = [0] * len(Lane)
        for rank, _ in self._waiting.get(gate, ()):
            counts[rank[0]] += 1
        return counts

    def has_room(self, gate: str) -> bool:
        """Whether one more may wait in memory."""
        return self.waiting(gate) < self._share

    def is_half_empty(self, gate: str) -> bool:
        """Whether it is time to fetch some of those that wait in the table."""
        return 2 * self.waiting(gate) <= self._share

    def lets_in(self, gate: str) -> bool:
        """Whether those who wait in the table have anything to come for."""
        return self.is_open(gate) or (keeps_key(gate) and self.has_room(gate))

    def wait(self, gate: str, entry: Entry, *, others: bool) -> Entry | None:
        """Let it wait in memory; the one for which there is no place then, which may be this one.

        When `others` stand in the table it takes no place before them unless it goes before one in memory, or
        came from there itself.
        """
        waiting, rank = self._waiting.setdefault(gate, []), _rank(entry)
        is_last = not waiting or rank > waiting[-1][0]
        if is_last and (len(waiting) >= self._share or (others and waiting and entry.at != gate)):
            return entry
        entry.gate = gate
        insort(waiting, (rank, entry))
        if len(waiting) <= self._share:
            return None
        out = waiting.pop()[1]
        out.gate = None
        return out

    def take(self, gate: str, room: int | None) -> Iterator[Entry]:
        """Those that go on, the first first."""
        waiting = self._waiting.get(gate, [])
        count = len(waiting) if room is None else min(room, len(waiting))
        going = waiting[:count]
        del waiting[:count]
        for _, entry in going:
            entry.gate = None
            yield entry

    def leave(self, entry: Entry) -> bool:
        """It waits no longer; whether it did."""
        gate, entry.gate = entry.gate, None
        if gate is None:
            return False
        self._waiting[gate].remove((_rank(entry), entry))
        return True

    def forget(self, partition: int) -> None:
        """A partition goes: its jobs wait no longer."""
        for waiting in self._waiting.values():
            for rank, entry in [place for place in waiting if place[1].partition == partition]:
                entry.gate = None
                waiting.remove((rank, entry))

    def _of(self, job: Job) -> tuple[str, ...]:
        names = self._names.get((job.queue, job.type))
        if names is None:
            job_type = JOB_TYPES.get(job.type)
            group = None if job_type is None else job_type.limit_group
            last = (group_gate(find_group(group)),) if group else ()
            if job.type in self._in_process:
                last = (PROCESS_GATE,)
            names = queue_gate(job.queue), type_gate(job.type), *last
            self._names[job.queue, job.type] = names
        return names


def _rank(entry: Entry) -> Rank:
    job = entry.job
    return entry.lane.value, -job.priority, job.accepted_at, entry.position
