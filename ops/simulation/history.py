"""The history of the jobs as it is committed: legal, without a gap, one end, each with what belongs to it."""

from ops.simulation.cleared import is_cleared
from ops.simulation.records import Done, Partition, Record
from ops.simulation.violation import Violation
from schemas.commands import is_command
from schemas.records import Control, DeadLetter, Transition
from schemas.states import TERMINAL, State, is_allowed

# How many take-overs of a job that was checked in it takes at least until it dies of this.
INTERRUPTIONS = {"interrupted": 5, "unknown_outcome": 1}


class History:
    """Checks what each committed step says of its job."""

    def __init__(self, records: list[Record], clears: list[Control]) -> None:
        self._records, self._clears = records, clears
        # Jobs whose cancel was sent: up to which series.
        self.cancels: dict[str, int] = {}
        # Which series of which jobs have ended.
        self._ended: set[tuple[str, int]] = set()

    def take(self, partition: Partition, step: Done, commit: int) -> None:
        """One step, in the commit of this number."""
        record = step.record
        if not step.transitions and step.row is None and not is_command(record.job):
            self._repeats(step, commit)
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
            record.ran_here &= move.to_state == State.ACTIVE
            if move.to_state in TERMINAL:
                record.ended = commit
                record.result = move.result
                self._end(partition, step, move)

    def has_ended(self, job_id: str, series: int) -> bool:
        """Whether this series of a job has ended."""
        return (job_id, series) in self._ended

    def _repeats(self, step: Done, commit: int) -> None:
        """Nothing is said of a job: it must be said already, of this very series."""
        record, job = step.record, step.job
        if (job.job_id, job.series) not in self._ended:
            raise Violation("nothing lost", f"nothing is said of {record.name}, series {job.series}")
        record.ended = commit

    def _ends_a_series(self, partition: Partition, step: Done) -> None:
        """Each series of a job ends once."""
        job, asked = step.job, step.record.job.series
        known = partition.known.get(job.idempotency or b"")
        # By its id alone a job is told apart only as long as its key remembers it.
        is_told_apart = asked or known is None or known.job_id == job.job_id
        if (job.job_id, job.series) in self._ended and is_told_apart:
            raise Violation("a series ends once", f"{step.record.name}, series {job.series} of {job.job_id}")
        if asked and job.series != asked:
            raise Violation("a series is the one asked for", f"{step.record.name}: {job.series}, not {asked}")
        self._ended.add((job.job_id, job.series))

    def _is_cancelled_rightly(self, step: Done, move: Transition) -> bool:
        job, cancelled = step.job, self.cancels.get(step.job.job_id, -1)
        states = {move.from_state, "delayed"} if job.not_before is not None else {move.from_state}
        return job.series <= cancelled or any(
            is_cleared(order, job, state) for order in self._clears for state in states
        )

    def _end(self, partition: Partition, step: Done, move: Transition) -> None:
        record, unique = step.record, step.record.job.idempotency is not None
        self._ends_a_series(partition, step)
        if (move.to_state == State.DEAD) != (step.letter is not None):
            raise Violation("a letter for each dead job", f"{record.name} is {move.to_state}")
        if unique and (move.to_state != State.DUPLICATE) != (step.known is not None):
            known = partition.known.get(record.job.idempotency or b"")
            if known is None or known.state != State.COMPLETED or move.to_state == State.COMPLETED:
                raise Violation("its key is remembered", f"{record.name} is {move.to_state}")
        if move.to_state == State.COMPLETED and record.job.idempotency is not None:
            partition.effects.add(record.job.idempotency)
        if move.to_state == State.CANCELLED and not self._is_cancelled_rightly(step, move):
            raise Violation("nobody ends unasked", record.name)
        if (move.to_state == State.COMPLETED) != (step.carried is not None):
            raise Violation("only a completed job's writes go out", f"{record.name} is {move.to_state}")
        if step.letter is not None:
            _died_rightly(record, move)
            _tells_every_attempt(record, move, step.letter)
        if move.to_state == State.DUPLICATE:
            first = [r for r in self._records if r.job.job_id == move.duplicate_of]
            answers = (r for r in first if r.state == State.COMPLETED and r.result == move.result)
            if not any(r.job.data_hash == record.job.data_hash for r in answers):
                raise Violation("a duplicate has its answer", f"{record.name} of {move.duplicate_of}")


def _died_rightly(record: Record, move: Transition) -> None:
    error = move.error
    if error is None or (error.retryable and move.attempt < record.job.attempts):
        raise Violation("every attempt is used", f"{record.name} is dead at attempt {move.attempt}")
    least = INTERRUPTIONS.get(error.error_class, 0)
    if record.taken < least:
        raise Violation("interruptions are counted", f"{record.name} is dead after {record.taken} of {least}")


def _tells_every_attempt(record: Record, move: Transition, letter: DeadLetter) -> None:
    told = [error.attempt for error in letter.errors if error.attempt < move.attempt]
    if told != list(range(1, move.attempt)):
        raise Violation("a letter tells every attempt", f"{record.name}: {told} before {move.attempt}")
