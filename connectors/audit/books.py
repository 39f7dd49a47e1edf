"""The books of the ledger: sums of hashes that are zero where everything that came in is accounted for; pure.

A job's history is a chain: its tier record is link 0 (waiting), each transition leads from the link before
it to its own, and a terminal transition closes the chain. Each record adds the hash of the link that it makes
and subtracts that of the link that it follows, so that whole chains cancel out in any order and in any
company: a bucket that sums to zero needs no look at its records. Another is judged record by record.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from schemas.commands import is_command
from schemas.records import DeadLetter, Job, Lifecycle, Transition
from schemas.states import TERMINAL, State

MINUTE_MS = 60_000
BLOCK = 1_000
_MASK = (1 << 64) - 1
_ENDS = {state.value for state in TERMINAL}
_FIRST = State.WAITING.value

Place = tuple[str, int]
"""A topic and a partition."""
FlowKey = tuple[int, int, int]
"""A tier, a partition and a minute of acceptance."""


@dataclass(slots=True)
class Extent:
    """Where the records of a bucket stand: the first and last offset in each partition of a topic."""

    within: dict[Place, list[int]] = field(default_factory=dict)

    def add(self, place: Place, offset: int) -> None:
        """A record stands here."""
        known = self.within.get(place)
        if known is None:
            self.within[place] = [offset, offset]
        elif offset > known[1]:
            known[1] = offset
        elif offset < known[0]:
            known[0] = offset


@dataclass(slots=True)
class Flow:
    """The jobs of one bucket: how many came, how many ended how, and what does not cancel out."""

    came: int = 0
    rest: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    extent: Extent = field(default_factory=Extent)

    @property
    def closed(self) -> bool:
        """Whether every job that came ended once, by an unbroken chain."""
        return not self.rest and self.came == sum(self.ends.values())


@dataclass(slots=True)
class Pairs:
    """Records that must each have exactly one counterpart: the sum of hashes and of counts is zero then."""

    count: int = 0
    rest: int = 0
    extent: Extent = field(default_factory=Extent)

    @property
    def closed(self) -> bool:
        """Whether all have met theirs."""
        return not self.rest and not self.count

    def add(self, mark: int, sign: int) -> None:
        """One more on a side."""
        self.count += sign
        self.rest = (self.rest + sign * mark) & _MASK


@dataclass(slots=True)
class Sums:
    """A number of rows and the sum of their digests."""

    count: int = 0
    digest: int = 0

    def add(self, digest: int) -> None:
        """One more row."""
        self.count += 1
        self.digest = (self.digest + digest) & _MASK


@dataclass(slots=True)
class Books:
    """All buckets. `since` (ms): jobs accepted before it, and letters from before it, do not count.

    `starts`: records that came in before these offsets do not count either.
    """

    since: int = 0
    starts: dict[Place, int] = field(default_factory=dict)
    flows: dict[FlowKey, Flow] = field(default_factory=dict)
    ingress: dict[tuple[str, int, int], Pairs] = field(default_factory=dict)
    letters: dict[FlowKey, Pairs] = field(default_factory=dict)
    requests: int = 0
    refused: int = 0
    commands: int = 0

    def request(self, place: Place, offset: int, what: tuple[str, str]) -> None:
        """A record came in by an ingress topic; `what` is its id and data, empty when it is no record."""
        pairs = self._block(*place, offset)
        pairs.add(mark(*place, offset, *what), 1)
        pairs.extent.add(place, offset)
        self.requests += 1

    def routed(self, place: Place, offset: int, job: Job) -> None:
        """A job stands on a tier topic."""
        source = (job.source_topic, job.source_partition)
        if job.source_offset >= self.starts.get(source, 0):
            pairs = self._block(*source, job.source_offset)
            pairs.add(mark(*source, job.source_offset, job.job_id, job.data), -1)
            pairs.extent.add(place, offset)
        if is_command(job):
            self.commands += 1
        elif job.accepted_at >= self.since:
            flow = self._flow(job.tier, place[1], job.accepted_at)
            flow.came += 1
            flow.rest = (flow.rest + link(job.job_id, job.series, 0, _FIRST)) & _MASK
            flow.extent.add(place, offset)

    def refused_letter(self, place: Place, offset: int, letter: DeadLetter, what: tuple[str, str]) -> None:
        """A record that came in was no job: `what` as it was for the record."""
        source = (letter.source_topic, letter.source_partition)
        if letter.source_offset >= self.starts.get(source, 0):
            pairs = self._block(*source, letter.source_offset)
            pairs.add(mark(*source, letter.source_offset, *what), -1)
            pairs.extent.add(place, offset)
            self.refused += 1

    def history(self, place: Place, offset: int, record: Lifecycle) -> None:
        """Transitions of a job."""
        for change in record.transitions:
            if change.to_state == State.DEAD and change.at >= self.since:
                self._died(record, change, place, offset)
        if record.accepted_at < self.since:
            return
        flow = self._flow(record.tier, place[1], record.accepted_at)
        flow.extent.add(place, offset)
        job_id, series, rest = record.job_id, record.series, flow.rest
        for change in record.transitions:
            made = link(job_id, series, change.number, change.to_state)
            rest += made - link(job_id, series, change.number - 1, change.from_state)
            if change.to_state in _ENDS:
                rest -= made
                flow.ends[change.to_state] = flow.ends.get(change.to_state, 0) + 1
        flow.rest = rest & _MASK

    def letter(self, place: Place, offset: int, letter: DeadLetter) -> None:
        """A dead letter of a job."""
        if letter.last_failed_at >= self.since:
            pairs = self._letters(letter.tier, place[1], letter.last_failed_at)
            pairs.add(link(letter.job_id or "", letter.series, 0, State.DEAD), -1)
            pairs.extent.add(place, offset)

    def _died(self, record: Lifecycle, change: Transition, place: Place, offset: int) -> None:
        pairs = self._letters(record.tier, place[1], change.at)
        pairs.add(link(record.job_id, record.series, 0, State.DEAD), 1)
        pairs.extent.add(place, offset)

    def _flow(self, tier: int, partition: int, at: int) -> Flow:
        key = (tier, partition, at // MINUTE_MS)
        flow = self.flows.get(key)
        if flow is None:
            flow = self.flows[key] = Flow()
        return flow

    def _block(self, topic: str, partition: int, offset: int) -> Pairs:
        key = (topic, partition, offset // BLOCK)
        pairs = self.ingress.get(key)
        if pairs is None:
            pairs = self.ingress[key] = Pairs()
        return pairs

    def _letters(self, tier: int, partition: int, at: int) -> Pairs:
        key = (tier, partition, at // MINUTE_MS)
        pairs = self.letters.get(key)
        if pairs is None:
            pairs = self.letters[key] = Pairs()
        return pairs


def link(job_id: str, series: int, number: int, state: str) -> int:
    """64 bits for one link of a job's chain. Holds within a process: Python keys its hashes of texts anew.

    Of ONE text, not of a tuple: a tuple's hash is nearly linear in its numbers, so that the differences
    between two changed links can cancel out (the property test found it).
    """
    return hash(f"{number} {series} {state} {job_id}")


def mark(topic: str, partition: int, offset: int, record_id: str, data: str) -> int:
    """64 bits for a record that came in."""
    return hash(f"{offset} {partition} {topic} {len(record_id)} {record_id} {data}")


def extents(buckets: Iterable[Extent]) -> Iterator[tuple[str, int, int, int]]:
    """The topic, partition, first and last offset of everything in some buckets, one per partition."""
    whole = Extent()
    for bucket in buckets:
        for place, (low, high) in bucket.within.items():
            whole.add(place, low)
            whole.add(place, high)
    for (topic, partition), (low, high) in whole.within.items():
        yield topic, partition, low, high
