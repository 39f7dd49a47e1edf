"""Records as rows of the staging tables; pure.

Text loses NUL characters, which Postgres cannot hold. JSON that does not parse becomes a JSON string of
itself: a tier-1 job has its row even when its data is no JSON.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from connectors.postgres.months import LETTERS, keep_days
from connectors.views import accepted
from schemas.commands import is_command
from schemas.records import DeadLetter, Failure, Job, Lifecycle, Transition

Value = str | int | bytes | bool | None
Row = tuple[Value, ...]

SUBJECT = (
    "job_id", "queue", "type", "tier", "accepted_at", "document_id", "user_id", "tenant_id", "request_id",
)  # fmt: skip
ENVELOPE = (
    "envelope_series", "data", "data_hash", "priority", "max_attempts", "timeout_ms", "not_before",
    "ordering_key", "idempotency", "idempotency_key", "traceparent", "source_topic", "source_partition",
    "source_offset",
)  # fmt: skip
TRANSITION = (
    "job_id", "series", "number", "from_state", "to_state", "attempt", "at", "worker", "reason", "due",
    "progress", "stage", "message", "result", "error", "duplicate_of",
)  # fmt: skip
LETTER = (
    "letter_id", "tier", "job_id", "series", "queue", "type", "data", "document_id", "user_id", "tenant_id",
    "request_id", "traceparent", "error_class", "message", "fingerprint", "errors", "first_failed_at",
    "last_failed_at", "source_topic", "source_partition", "source_offset", "key", "value", "headers",
)  # fmt: skip
TIMES = frozenset({"accepted_at", "not_before", "at", "due", "first_failed_at", "last_failed_at"})

_ACCEPTED_AT = SUBJECT.index("accepted_at")
_FAILED_AT = LETTER.index("last_failed_at")
_NO_ENVELOPE: Row = (None,) * len(ENVELOPE)


@dataclass(slots=True)
class Rows:
    """The rows of a batch: one per job, one per transition, one per letter, the first of each counts."""

    subjects: dict[str, Row] = field(default_factory=dict)
    keep_days: dict[str, int] = field(default_factory=dict)
    envelopes: dict[str, tuple[int, Row]] = field(default_factory=dict)
    transitions: dict[tuple[str, int, int], Row] = field(default_factory=dict)
    letters: dict[str, Row] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Job | Lifecycle | DeadLetter]) -> "Rows":
        """The rows of records, in the order they were read."""
        rows = cls()
        for record in records:
            rows.add(record)
        return rows

    def __len__(self) -> int:
        return len(self.transitions) + len(self.letters)

    def add(self, record: Job | Lifecycle | DeadLetter) -> None:
        """Take in one more record."""
        match record:
            case Job():
                if not is_command(record):
                    self._add_job(record)
            case Lifecycle():
                self._add_subject(record)
                for transition in record.transitions:
                    self._add_transition(record.job_id, record.series, transition, record.worker)
            case DeadLetter():
                letter = letter_row(record)
                self.letters.setdefault(str(letter[0]), letter)

    def jobs(self) -> list[Row]:
        """Subject, envelope and days to keep of each job, by id: two writers never wait in a circle."""
        return [
            (
                *self.subjects[job_id],
                *self.envelopes.get(job_id, (0, _NO_ENVELOPE))[1],
                self.keep_days[job_id],
            )
            for job_id in sorted(self.subjects)
        ]

    def times(self) -> set[tuple[str, int]]:
        """The times that decide which months are needed, by the family of months."""
        found = {(LETTERS, cast(int, row[_FAILED_AT])) for row in self.letters.values()}
        for job_id, row in self.subjects.items():
            at, days = cast(int, row[_ACCEPTED_AT]), self.keep_days[job_id]
            found.update((f"{table}_{days}d", at) for table in ("jobs", "job_transitions"))
        return found

    def _add_job(self, job: Job) -> None:
        self._add_subject(job)
        job_id = clean(job.job_id)
        known = self.envelopes.get(job_id)
        if known is None or job.series > known[0]:
            self.envelopes[job_id] = (job.series, envelope_row(job))
        self._add_transition(job.job_id, job.series, accepted(job), None)

    def _add_subject(self, record: Job | Lifecycle) -> None:
        job_id = clean(record.job_id)
        self.keep_days[job_id] = max(keep_days(record.type), self.keep_days.get(job_id, 0))
        known = self.subjects.get(job_id)
        # A re-drive carries its own time: the job was accepted when its first record was.
        if known is None or record.accepted_at < cast(int, known[_ACCEPTED_AT]):
            self.subjects[job_id] = (
                job_id,
                clean(record.queue),
                clean(record.type),
                record.tier,
                record.accepted_at,
                *map(maybe, (record.document_id, record.user_id, record.tenant_id, record.request_id)),
            )

    def _add_transition(self, job_id: str, series: int, change: Transition, worker: str | None) -> None:
        place = (clean(job_id), series, change.number)
        if place not in self.transitions:
            self.transitions[place] = transition_row(place, change, worker)


def envelope_row(job: Job) -> Row:
    """What only the job's own record says."""
    return (
        job.series,
        json_text(job.data),
        job.data_hash,
        job.priority,
        job.attempts,
        job.timeout_ms,
        job.not_before,
        clean(job.ordering_key),
        job.idempotency,
        maybe(job.idempotency_key),
        maybe(job.traceparent),
        clean(job.source_topic),
        job.source_partition,
        job.source_offset,
    )


def transition_row(place: tuple[str, int, int], change: Transition, worker: str | None) -> Row:
    """One change of state."""
    return (
        *place,
        clean(change.from_state),
        clean(change.to_state),
        change.attempt,
        change.at,
        maybe(worker),
        maybe(change.reason),
        change.due,
        change.progress,
        maybe(change.stage),
        maybe(change.message),
        json_text(change.result),
        _failure(change.error),
        maybe(change.duplicate_of),
    )


def letter_row(letter: DeadLetter) -> Row:
    """One dead letter."""
    return (
        clean(letter.letter_id),
        letter.tier,
        maybe(letter.job_id),
        letter.series,
        maybe(letter.queue),
        maybe(letter.type),
        json_text(letter.data),
        *map(maybe, (letter.document_id, letter.user_id, letter.tenant_id, letter.request_id)),
        maybe(letter.traceparent),
        clean(letter.error_class),
        clean(letter.message),
        clean(letter.fingerprint),
        _encoded([_cleaned(msgspec.structs.asdict(error)) for error in letter.errors]),
        letter.first_failed_at,
        letter.last_failed_at,
        clean(letter.source_topic),
        letter.source_partition,
        letter.source_offset,
        letter.key,
        letter.value,
        _encoded({clean(name): header_text(value) for name, value in letter.headers.items()}),
    )


def clean(text: str) -> str:
    """The text as Postgres can hold it."""
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def maybe(text: str | None) -> str | None:
    """As `clean`, for a text that may be absent."""
    return None if text is None else clean(text)


def json_text(text: str | None) -> str | None:
    """The JSON text, or a JSON string of what is none."""
    if text is None or _is_json(text):
        return text
    return _encoded(text)


def _is_json(text: str) -> bool:
    """As Postgres sees it: half a surrogate pair and numbers of any size are JSON, NaN is not."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        try:
            json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def header_text(value: bytes) -> str:
    """A header's value: its text, or `base64:` and its bytes where it is none."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()
    return clean(text)


def _failure(error: Failure | None) -> str | None:
    return None if error is None else _encoded(_cleaned(msgspec.structs.asdict(error)))


def _cleaned(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: clean(value) if isinstance(value, str) else value for name, value in fields.items()}


def _encoded(value: object) -> str:
    return msgspec.json.encode(value).decode()
