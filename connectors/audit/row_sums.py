"""What Postgres should hold by the records that the sink has passed: digests of rows by table and minute."""

from dataclasses import dataclass, field

from connectors.audit.books import MINUTE_MS, Extent, Place, Sums
from connectors.postgres.digests import (
    ENVELOPE_DIGESTED,
    LETTER_DIGESTED,
    TRANSITION_DIGESTED,
    digest_of,
)
from connectors.postgres.rows import clean, envelope_row, letter_row, maybe, transition_row
from connectors.views import accepted
from schemas.commands import is_command
from schemas.records import DeadLetter, Job, Lifecycle, Transition

JOBS, TRANSITIONS, LETTERS = "jobs", "job_transitions", "dead_letter_jobs"
RowKey = tuple[str, int]
"""A table and a minute: of acceptance, of a letter the last failure's."""


@dataclass(slots=True)
class RowSums:
    """The sums by table and minute, and where their records stand."""

    since: int = 0
    sums: dict[RowKey, Sums] = field(default_factory=dict)
    extents: dict[RowKey, Extent] = field(default_factory=dict)

    def job(self, place: Place, offset: int, job: Job) -> None:
        """A tier-1 job: its envelope, and its acceptance as transition 0."""
        if job.accepted_at >= self.since and not is_command(job):
            self._of(JOBS, job.accepted_at, place, offset).add(envelope_digest(job))
            self._of(TRANSITIONS, job.accepted_at, place, offset).add(acceptance_digest(job))

    def history(self, place: Place, offset: int, record: Lifecycle) -> None:
        """Transitions of a tier-1 job."""
        if record.accepted_at >= self.since:
            sums = self._of(TRANSITIONS, record.accepted_at, place, offset)
            for change in record.transitions:
                sums.add(transition_digest(record, change))

    def letter(self, place: Place, offset: int, letter: DeadLetter) -> None:
        """A dead letter."""
        if letter.last_failed_at >= self.since:
            self._of(LETTERS, letter.last_failed_at, place, offset).add(letter_digest(letter))

    def _of(self, table: str, at: int, place: Place, offset: int) -> Sums:
        key = (table, at // MINUTE_MS)
        sums = self.sums.get(key)
        if sums is None:
            sums, self.extents[key] = self.sums.setdefault(key, Sums()), Extent()
        self.extents[key].add(place, offset)
        return sums


def envelope_digest(job: Job) -> int:
    """Of the part of a job's row that its own record says."""
    owner = (maybe(job.document_id), maybe(job.user_id), maybe(job.tenant_id))
    subject = (clean(job.job_id), clean(job.queue), clean(job.type), job.tier, *owner)
    return digest_of(ENVELOPE_DIGESTED, (*subject, *envelope_row(job)))


def acceptance_digest(job: Job) -> int:
    """Of transition 0, which the job's record is."""
    place = (clean(job.job_id), job.series, 0)
    return digest_of(TRANSITION_DIGESTED, transition_row(place, accepted(job), None))


def transition_digest(record: Lifecycle, change: Transition) -> int:
    """Of a transition's row."""
    place = (clean(record.job_id), record.series, change.number)
    return digest_of(TRANSITION_DIGESTED, transition_row(place, change, record.worker))


def letter_digest(letter: DeadLetter) -> int:
    """Of a dead letter's row."""
    return digest_of(LETTER_DIGESTED, letter_row(letter))
