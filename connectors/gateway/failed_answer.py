"""Dead letters and re-drives as the API shows them."""

from typing import Any

import msgspec

from connectors.gateway.job_answer import iso, iso_or_none, raw
from connectors.letter_export import base64_of
from connectors.postgres.dead_letters import Figures, Group, KeptLetter, Redriven
from connectors.postgres.redrives import Run
from connectors.redrive.canary import Plan, Tally
from schemas.records import AttemptError


class LetterError(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """Why it is here; what is here is not tried again by itself."""

    class_: str
    message: str
    retryable: bool = False


class LetterAttempt(msgspec.Struct, frozen=True, rename="camel"):
    """One failed attempt."""

    attempt: int
    at: str
    error: LetterError


class LetterSource(msgspec.Struct, frozen=True):
    """Where the record stood."""

    topic: str
    partition: int
    offset: int


class LetterRedriven(msgspec.Struct, frozen=True, rename="camel"):
    """Who gave it another try, when, as which attempt series, and what came of that as far as was watched."""

    run_id: str
    by: str
    at: str
    series: int | None
    sent_at: str | None
    outcome: str | None


class Letter(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A job that ended dead, or a record that is no job at all (then `jobId` and `queue` are null)."""

    id: str
    job_id: str | None
    series: int
    queue: str | None
    type: str | None
    tier: int
    data: Any
    error: LetterError
    fingerprint: str
    attempts: list[LetterAttempt]
    first_failed_at: str
    last_failed_at: str
    source: LetterSource
    trace_id: str | None
    user_id: str | None
    tenant_id: str | None
    document_id: str | None
    redriven: LetterRedriven | None


class LetterBytes(msgspec.Struct, frozen=True):
    """The record as it stood on its topic; key and value in base64, null when they were too large to keep."""

    key: str | None
    value: str | None
    headers: dict[str, str]


class WholeLetter(Letter, frozen=True, kw_only=True):
    """A letter with its original bytes."""

    original: LetterBytes


class Letters(msgspec.Struct, frozen=True):
    """A page; `cursor` asks for the next one and is null on the last."""

    failed: list[Letter]
    cursor: str | None


class LetterGroup(msgspec.Struct, frozen=True, rename="camel"):
    """Letters of one cause."""

    fingerprint: str
    error_class: str
    message: str
    types: list[str]
    count: int
    open: int
    first_seen: str
    last_seen: str
    latest_id: str


class LetterCount(msgspec.Struct, frozen=True, rename="camel"):
    """How many of a kind, and when the last one failed."""

    name: str
    count: int
    last_failed_at: str


class LetterStats(msgspec.Struct, frozen=True, rename="camel"):
    """Dead letters in numbers; `byHour` in UTC, the latest 100 hours that have any."""

    total: int
    open: int
    redriven: int
    by_error_class: list[LetterCount]
    by_type: list[LetterCount]
    by_hour: list[LetterCount]
    groups: list[LetterGroup]


class RedriveProblem(msgspec.Struct, frozen=True):
    """A letter that could not be sent, and why; it stays open."""

    id: str
    problem: str


class RedriveRun(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A re-drive and how far it is."""

    run_id: str
    state: str
    reason: str | None
    by: str
    at: str
    finished_at: str | None
    filter: Any
    plan: Plan
    progress: Tally
    problems: list[RedriveProblem] = msgspec.field(default_factory=list)


def letter_of(kept: KeptLetter) -> Letter:
    """A letter without its bytes."""
    return Letter(**_members(kept))


def whole_letter_of(kept: KeptLetter) -> WholeLetter:
    """A letter with them."""
    letter = kept.letter
    headers = {name: value.decode(errors="replace") for name, value in letter.headers.items()}
    original = LetterBytes(base64_of(letter.key), base64_of(letter.value), headers)
    return WholeLetter(**_members(kept), original=original)


def group_of(group: Group) -> LetterGroup:
    """A group."""
    members = msgspec.structs.asdict(group)
    return LetterGroup(**{**members, "first_seen": iso(group.first_seen), "last_seen": iso(group.last_seen)})


def stats_of(figures: Figures, groups: list[Group]) -> LetterStats:
    """Figures and the largest groups."""
    divided = {
        name: [LetterCount(count.name, count.count, iso(count.last_failed_at)) for count in counts]
        for name, counts in (
            ("by_error_class", figures.by_error_class),
            ("by_type", figures.by_type),
            ("by_hour", figures.by_hour),
        )
    }
    return LetterStats(
        figures.total, figures.open, figures.redriven, **divided, groups=[group_of(group) for group in groups]
    )


def run_of(run: Run, problems: list[tuple[str, str]] | None = None) -> RedriveRun:
    """A run."""
    return RedriveRun(
        run_id=run.run_id,
        state=run.state,
        reason=run.reason,
        by=run.by,
        at=iso(run.at),
        finished_at=iso_or_none(run.finished_at),
        filter={name: value for name, value in run.asked.items() if value is not None},
        plan=run.plan,
        progress=run.tally,
        problems=[RedriveProblem(*problem) for problem in problems or []],
    )


def _members(kept: KeptLetter) -> dict[str, Any]:
    letter = kept.letter
    same = ("job_id", "series", "queue", "type", "tier", "fingerprint", "user_id", "tenant_id", "document_id")
    return {
        **{name: getattr(letter, name) for name in same},
        "id": letter.letter_id,
        "data": raw(letter.data),
        "error": LetterError(letter.error_class, letter.message),
        "attempts": [_attempt(error) for error in letter.errors],
        "first_failed_at": iso(letter.first_failed_at),
        "last_failed_at": iso(letter.last_failed_at),
        "source": LetterSource(letter.source_topic, letter.source_partition, letter.source_offset),
        "trace_id": _trace_id(letter.traceparent),
        "redriven": _redriven(kept.redriven),
    }


def _redriven(again: Redriven | None) -> LetterRedriven | None:
    if again is None:
        return None
    return LetterRedriven(
        again.run_id, again.by, iso(again.at), again.series, iso_or_none(again.sent_at), again.outcome
    )


def _attempt(error: AttemptError) -> LetterAttempt:
    return LetterAttempt(error.attempt, iso(error.at), LetterError(error.error_class, error.message))


def _trace_id(traceparent: str | None) -> str | None:
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None
