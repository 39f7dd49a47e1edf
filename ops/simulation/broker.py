"""What is durable: the lanes, and what committed transactions made of them. Checks each commit.

A model of Kafka as the engine uses it: a transaction holds what steps completed and the positions of their
sources, and happens as a whole or not at all.
"""

from typing import Any

from ops.simulation.history import History
from ops.simulation.records import Done, Partition, Record
from ops.simulation.violation import Violation
from schemas.commands import Cancel, cancel_of, cancel_request, is_command
from schemas.priorities import Lane
from schemas.records import Control, Job
from schemas.states import State
from streams.core.admission import Source, job_of_command
from streams.core.cancels import mark_place
from streams.core.entry import position
from streams.core.outcome import series_key


class Broker:
    """Every partition, and the one order of all commits."""

    def __init__(self, partitions: int, clears: list[Control]) -> None:
        self.partitions = [Partition(number) for number in range(partitions)]
        self.records: list[Record] = []
        self.history = History(self.records, clears)
        # Jobs whose cancel an owner has taken in: up to which series.
        self.cancelled: dict[str, int] = {}
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

    def cancel(self, number: int, job_id: str, ordering_key: str, at: int) -> None:
        """Append a cancel of this job, as far as it was brought back, to the urgent lane."""
        series = max((r.job.series for r in self.records if r.job.job_id == job_id), default=0)
        self.history.cancels[job_id] = series
        partition = self.partitions[number]
        log = partition.lanes[Lane.URGENT]
        request = cancel_request(
            Cancel(job_id, 2, "ada", series), ordering_key, command_id=f"cancel-{job_id}", at=at
        )
        command = job_of_command(request, Source("job-requests", 0, len(log)))
        place = mark_place(job_id)
        record = Record(f"cancel of {job_id}", command, place, Lane.URGENT, len(log), number)
        log.append(record)
        partition.by_position[place] = record

    def commit(self, number: int, done: list[Done], positions: list[tuple[int, int]]) -> None:
        """The transaction's part for one partition; Violation when it breaks a promise."""
        partition = self.partitions[number]
        self._commits += 1
        for step in done:
            self.history.take(partition, step, self._commits)
            place = step.record.position
            if step.row is not None:
                partition.rows[place] = step.row
            elif step.row_removed:
                partition.rows.pop(place, None)
            if step.known is not None and step.record.job.idempotency is not None:
                partition.known[step.record.job.idempotency] = step.known
            if step.series is not None:
                partition.known[series_key(step.job)] = step.series
        for step in done:
            self._is_kept(partition, step.record)
        for lane, (base, mask) in enumerate(positions):
            self._completes(partition, lane, base, mask)
            partition.positions[lane] = (base, mask)

    def may_come_back(self, job_id: str, series: int) -> bool:
        """Whether the last series of a job has died or was cancelled, and this may be its next one."""
        states = {r.job.series: r.state for r in self.records if r.job.job_id == job_id and r.is_over}
        last = states.get(series - 1) if series else next(reversed(states.values()), None)
        return last in (State.DEAD, State.CANCELLED)

    def _is_kept(self, partition: Partition, record: Record) -> None:
        if is_command(record.job):
            return
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
                if is_command(record.job):
                    self._carried_out(partition, record)
                elif not record.is_over and record.position not in partition.rows:
                    raise Violation("nothing lost", f"{record.name}: its offset is complete, nothing else")

    def _carried_out(self, partition: Partition, command: Record) -> None:
        order = cancel_of(command.job)
        job_id = order.job_id
        ended = any(record.is_over for record in self.records if record.job.job_id == job_id)
        if not ended and command.position not in partition.rows:
            raise Violation("no cancel is lost", command.name)
        self.cancelled[job_id] = order.series
