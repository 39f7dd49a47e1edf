"""What a reader of a job sees: its envelope and all its transitions, folded into one view.

Records of one job come from two topics that know nothing of each other's order, and may come twice. So the
fold is a pure function of the set of records: any order and any repeats give the same view. The status store,
the sink and the gateway use the same rules.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from schemas.records import Failure, Job, JobRequest, Lifecycle, Transition
from schemas.states import TERMINAL, State

# A double holds integers up to 2**53: 32 bits of number, one for "terminal", the rest is the series.
_NUMBERS = 1 << 32
SERIES_STEP = _NUMBERS << 1


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job as its readers see it.

    `data` and `result` are JSON texts; `data`, `priority`, `max_attempts` and `ordering_key` are None while
    only the job's transitions are known. `attempts` counts those started in the current series;
    `processed_at` is the start of the latest one. `timeline` holds every series, oldest first. Times are
    milliseconds since the epoch.
    """

    job_id: str
    series: int
    queue: str
    type: str
    tier: int
    state: str
    accepted_at: int
    data: str | None = None
    priority: int | None = None
    attempts: int = 0
    max_attempts: int | None = None
    processed_at: int | None = None
    finished_at: int | None = None
    progress: int | None = None
    stage: str | None = None
    message: str | None = None
    result: str | None = None
    error: Failure | None = None
    duplicate_of: str | None = None
    document_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    request_id: str | None = None
    ordering_key: str | None = None
    timeline: list[Transition] = []


class Moment(msgspec.Struct, frozen=True):
    """A transition within its attempt series."""

    series: int
    transition: Transition


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What every record of a job says about it: what it is and whose it is."""

    job_id: str
    queue: str
    type: str
    tier: int
    accepted_at: int
    document_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    request_id: str | None = None


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What only the job's own record says: its input, its limits and its place, of one series.

    `ordering_key` is None where it is the job's id, which it mostly is: readers keep millions of these.
    """

    series: int
    data: str
    priority: int
    max_attempts: int
    ordering_key: str | None = None


def rank(series: int, number: int, state: str) -> int:
    """The order in which transitions decide a job's state: the highest wins.

    A later series wins; within one a terminal state wins over every other and is final (the first of them
    stays), else the later number. Fits a double, so that a Lua script can compare it.
    """
    if state in TERMINAL:
        number = SERIES_STEP - 1 - number
    return series * SERIES_STEP + number


def accepted(job: Job) -> Transition:
    """Transition 0, which the job's record on its tier topic is."""
    return Transition(
        number=0,
        from_state="",
        to_state=State.WAITING.value,
        attempt=0,
        at=job.accepted_at,
        due=job.not_before,
    )


def subject_of(record: Job | Lifecycle) -> Subject:
    """Who and what a record is about."""
    return Subject(
        job_id=record.job_id,
        queue=record.queue,
        type=record.type,
        tier=record.tier,
        accepted_at=record.accepted_at,
        document_id=record.document_id,
        user_id=record.user_id,
        tenant_id=record.tenant_id,
        request_id=record.request_id,
    )


def requested(request: JobRequest, tier: int) -> Subject:
    """Who and what a request is about, before the router has seen it."""
    return Subject(
        job_id=request.job_id,
        queue=request.queue,
        type=request.type,
        tier=tier,
        accepted_at=request.accepted_at,
        document_id=request.document_id,
        user_id=request.user_id,
        tenant_id=request.tenant_id,
        request_id=request.request_id,
    )


def envelope_of(job: Job) -> Envelope:
    """What only the job's own record says."""
    key = None if job.ordering_key == job.job_id else job.ordering_key
    return Envelope(
        series=job.series, data=job.data, priority=job.priority, max_attempts=job.attempts, ordering_key=key
    )


def fold_records(records: Iterable[Job | Lifecycle]) -> JobView:
    """The view of the records of ONE job, in any order, each any number of times, at least one."""
    subjects, envelopes, moments = [], [], []
    for record in records:
        subjects.append(subject_of(record))
        if isinstance(record, Job):
            envelopes.append(envelope_of(record))
            moments.append(Moment(record.series, accepted(record)))
        else:
            moments += [Moment(record.series, transition) for transition in record.transitions]
    # A re-drive carries its own time: the job was accepted when its first record was.
    first = min(subjects, key=lambda subject: subject.accepted_at)
    return fold(first, envelopes, moments)


def fold(subject: Subject, envelopes: Sequence[Envelope], moments: Iterable[Moment]) -> JobView:
    """The view of what is known of a job; `waiting` when no transition is known yet."""
    timeline = _distinct(moments)
    head = max(timeline, key=_rank, default=None)
    series = head.series if head else max((envelope.series for envelope in envelopes), default=0)
    envelope = max(envelopes, key=lambda one: one.series, default=None)
    current = [moment.transition for moment in timeline if moment.series == series]
    last = head.transition if head else None
    return JobView(
        **msgspec.structs.asdict(subject),
        series=series,
        state=last.to_state if last else State.WAITING.value,
        data=envelope.data if envelope else None,
        priority=envelope.priority if envelope else None,
        max_attempts=envelope.max_attempts if envelope else None,
        ordering_key=(envelope.ordering_key or subject.job_id) if envelope else None,
        attempts=max((transition.attempt for transition in current), default=0),
        processed_at=max((t.at for t in current if is_start(t)), default=None),
        finished_at=last.at if last and last.to_state in TERMINAL else None,
        **_latest(current, last),
        timeline=[moment.transition for moment in timeline],
    )


def is_start(transition: Transition) -> bool:
    """Whether an attempt began, and not: a running one told how far it is."""
    active = State.ACTIVE.value
    return transition.to_state == active and (transition.from_state != active or transition.progress is None)


def _distinct(moments: Iterable[Moment]) -> list[Moment]:
    first: dict[tuple[int, int], Moment] = {}
    for moment in moments:
        first.setdefault((moment.series, moment.transition.number), moment)
    return [first[place] for place in sorted(first)]


def _rank(moment: Moment) -> int:
    return rank(moment.series, moment.transition.number, moment.transition.to_state)


def _latest(current: list[Transition], head: Transition | None) -> dict[str, Any]:
    """What the series said last of each thing, up to its head."""
    said: dict[str, Any] = {}
    for transition in current:
        if head is not None and transition.number <= head.number:
            for name in ("progress", "stage", "message", "result", "error", "duplicate_of"):
                value = getattr(transition, name)
                if value is not None:
                    said[name] = value
    if head is not None and head.to_state == State.COMPLETED.value:
        said.pop("error", None)  # of an earlier attempt
    return said
