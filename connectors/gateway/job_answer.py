"""A job as the API shows it."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from connectors.views import JobView
from schemas.records import Failure, Transition

Json = msgspec.Raw


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a job is."""

    percentage: int
    stage: str | None = None
    message: str | None = None


class Change(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One transition of a job's timeline."""

    state: str
    at: str
    attempt: int
    previous: str | None = None
    reason: str | None = None
    due: str | None = None
    progress: Progress | None = None
    error: dict[str, Any] | None = None
    duplicate_of: str | None = None


class JobAnswer(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """A job. Times are ISO 8601 in UTC; `progress` is the percentage, `progressDetail` says more."""

    id: str
    queue: str
    type: str
    tier: int
    state: str
    attempts: int = msgspec.field(default_factory=int)
    progress: int = msgspec.field(default_factory=int)
    created_at: str
    data: Any = None
    priority: int | None = None
    max_attempts: int | None = None
    series: int | None = None
    progress_detail: Progress | None = None
    processed_at: str | None = None
    finished_at: str | None = None
    result: Any = None
    failed_reason: str | None = None
    error: dict[str, Any] | None = None
    duplicate_of: str | None = None
    document_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    request_id: str | None = None
    timeline: list[Change] = msgspec.field(default_factory=list)


def answer_of(view: JobView) -> JobAnswer:
    """The view, in the API's words."""
    return JobAnswer(
        id=view.job_id,
        queue=view.queue,
        type=view.type,
        tier=view.tier,
        state=view.state,
        attempts=view.attempts,
        progress=100 if view.state == "completed" else view.progress or 0,
        created_at=iso(view.accepted_at),
        data=raw(view.data),
        priority=view.priority,
        max_attempts=view.max_attempts,
        series=view.series or None,
        progress_detail=_progress(view.progress, view.stage, view.message),
        processed_at=iso_or_none(view.processed_at),
        finished_at=iso_or_none(view.finished_at),
        result=raw(view.result),
        failed_reason=view.error.message if view.error else None,
        error=error_of(view.error),
        duplicate_of=view.duplicate_of,
        document_id=view.document_id,
        user_id=view.user_id,
        tenant_id=view.tenant_id,
        request_id=view.request_id,
        timeline=[_change(transition) for transition in view.timeline],
    )


def iso(at_ms: int) -> str:
    """Milliseconds since the epoch as `2026-01-31T12:00:00.000Z`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_or_none(at_ms: int | None) -> str | None:
    """The same for a time that may not have come."""
    return None if at_ms is None else iso(at_ms)


def raw(text: str | None) -> Json | None:
    """A JSON text put into the answer as it is."""
    return None if text is None else msgspec.Raw(text)


def error_of(failure: Failure | None) -> dict[str, Any] | None:
    """Why an attempt failed."""
    if failure is None:
        return None
    return {"class": failure.error_class, "message": failure.message, "retryable": failure.retryable}


def _change(transition: Transition) -> Change:
    return Change(
        state=transition.to_state,
        at=iso(transition.at),
        attempt=transition.attempt,
        previous=transition.from_state or None,
        reason=transition.reason,
        due=iso_or_none(transition.due),
        progress=_progress(transition.progress, transition.stage, transition.message),
        error=error_of(transition.error),
        duplicate_of=transition.duplicate_of,
    )


def _progress(percentage: int | None, stage: str | None, message: str | None) -> Progress | None:
    if percentage is None and stage is None and message is None:
        return None
    return Progress(percentage or 0, stage, message)
