"""What is durable: the lanes, and what committed transactions made of them. Checks each commit.

A model of Kafka as the engine uses it: a transaction holds what steps completed and the positions of their
sources, and happens as a whole or not at all.
"""

from dataclasses import dataclass, field
from typing import Any

from ops.simulation.violation import Violation
from schemas.priorities import Lane
from schemas.records import DeadLetter, IdempotencyEntry, Job, Parked, Transition
from schemas.states import TERMINAL, State, is_allowed
from streams.core.entry import position


@dataclass(slots=True, eq=False)
class Record:
    """A job on its lane, and what became of it as far as it is committed."""

    name: str
    job: Job
    position: bytes
    lane: Lane
    offset: int
    partition: int
    state: str = State.WAITING
    number: int = 0
    attempt: int = 1
    ended: int = 0
    interrupted: int = 0
    ran_here: bool = False

    @property
    def is_over(self) -> bool:
        """Whether a terminal state of it is committed."""
        return self.ended > 0


@dataclass(slots=True)
class Done:
    """What one step did for one job."""

    record: Record
    row: Parked | None
    row_removed: bool
    transitions: list[Transition]
    known: IdempotencyEntry | None
    letter: DeadLetter | None
    carried: Any
    check_in: Any = None


@dataclass(slots=True)
class Partition:
    """One partition number: its lanes, its tables, its owner (any object; None: nobody yet)."""

    number: int
    lanes: list[list[Record]] = field(default_factory=lambda: [[] for _ in Lane])
    positions: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0) for _ in Lane])
    rows: dict[bytes, Parked] = field(default_factory=dict)
    known: dict[bytes, IdempotencyEntry] = field(default_factory=dict)
    by_position: dict[bytes, Record] = field(default_factory=dict)
    owner: Any = None


class Broker:
    """Every partition, and the one order of all commits."""

    def __init__(self, partitions: int) -> None:
        self.partitions = [Partition(number) for number in range(partitions)]
        self.records: list[Record] = []
        self._commits = 0

    def send(self, number: int, lane: Lane, make: Any) -> Record:
        """Append a job to its lane; `make(offset)` gives its record."""
        partition = self.partitions[number]
        log = partition.lanes[lane]
        job: Job = make(len(log))
        place = position(job.ordering_key, lane.value, len(log))
        record = Record(f"j{len(self.records)}", job, place, lane, len(log), number)
        log.append(record)
        partition.by_position[place] = record
        self.records.append(record)
        return record

    def commit(self, number: int, done: list[Done], positions: list[tuple[int, int]]) -> None:
        """The transaction's part for one partition; Violation when it breaks a promise."""
        partition = self.partitions[number]
        self._commits += 1
        for step in done:
            self._history(step)
            place = step.record.position
            if step.row is not None:
                partition.rows[place] = step.row
            elif step.row_removed:
                partition.rows.pop(place, None)
            if step.known is not None and step.record.job.idempotency is not None:
                partition.known[step.record.job.idempotency] = step.known
        for step in done:
            self._is_kept(partition, step.record)
        for lane, (base, mask) in enumerate(positions):
            self._completes(partition, lane, base, mask)
            partition.positions[lane] = (base, mask)

    def _history(self, step: Done) -> None:
        record = step.record
        for move in step.transitions:
            if record.ended:
                raise Violation("one end", f"{record.name} is {record.state}, then {move.to_state}")
            if move.number != record.number + 1 or move.from_state != record.state:
                raise Violation(
                    "no gap in the history",
                    f"{record.name}: {record.number} {record.state}, then {move.number} {move.from_state} ->"
                    f" {move.to_state}",
                )
            if not is_allowed(State(move.from_state), State(move.to_state)):
                raise Violation("legal moves", f"{record.name}: {move.from_state} -> {move.to_state}")
            if move.attempt != record.attempt:
                raise Violation("attempts count on", f"{record.name}: {move.attempt} after {record.attempt}")
            if (
                move.to_state == State.FAILED
                and move.error is not None
                and move.error.error_class == "refuse"
            ):
                raise Violation("what is refused is not tried again", record.name)
            if move.from_state == State.FAILED:
                record.attempt += 1
            record.number, record.state = move.number, move.to_state
            if move.to_state in TERMINAL:
                record.ended = self._commits
                self._end(step, move)

    def _end(self, step: Done, move: Transition) -> None:
        record, unique = step.record, step.record.job.idempotency is not None
        if (move.to_state == State.DEAD) != (step.letter is not None):
            raise Violation("a letter for each dead job", f"{record.name} is {move.to_state}")
        if (move.to_state == State.COMPLETED and unique) != (step.known is not None):
            raise Violation("its key is remembered", f"{record.name} is {move.to_state}")
        if (move.to_state == State.COMPLETED) != (step.carried is not None):
            raise Violation("only a completed job's writes go out", f"{record.name} is {move.to_state}")
        if step.letter is not None:
            self._died_rightly(record, move)
        if move.to_state == State.DUPLICATE:
            first = next(r for r in self.records if r.job.job_id == move.duplicate_of)
            if first.state != State.COMPLETED or first.job.data_hash != record.job.data_hash:
                raise Violation("a duplicate has its answer", f"{record.name} of {first.name}, {first.state}")

    def _died_rightly(self, record: Record, move: Transition) -> None:
        error = move.error
        if error is None or (error.retryable and move.attempt < record.job.attempts):
            raise Violation("every attempt is used", f"{record.name} is dead at attempt {move.attempt}")

    def _is_kept(self, partition: Partition, record: Record) -> None:
        in_table = record.position in partition.rows
        if record.is_over == in_table:
            where = "ended and still in the table" if in_table else "neither ended nor in the table"
            raise Violation("nothing lost, nothing left", f"{record.name} is {where}")

    def _completes(self, partition: Partition, lane: int, base: int, mask: int) -> None:
        old_base, old_mask = partition.positions[lane]
        for offset in range(old_base, base + mask.bit_length()):
            is_new = offset < base or mask >> (offset - base) & 1
            if is_new and not (old_mask >> (offset - old_base) & 1):
                record = partition.lanes[lane][offset]
                if not record.is_over and record.position not in partition.rows:
                    raise Violation("nothing lost", f"{record.name}: its offset is complete, nothing else")
