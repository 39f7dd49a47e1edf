"""The records on the topics, typed and frozen; field for field what the `.avsc` files say.

Times are milliseconds since the epoch, `*_ms` durations in milliseconds. `data`, `result` and `payload` are
JSON texts: the contract of a job type is the catalogue's business, not the envelope's.
"""

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """A job's own retry settings; what is None comes from its type."""

    type: str | None = None
    delay_ms: int | None = None
    max_delay_ms: int | None = None
    jitter: bool | None = None


class JobOptions(msgspec.Struct, frozen=True):
    """What a producer may set for one job; None takes the type's rule."""

    priority: int | None = None
    delay_ms: int | None = None
    run_at: int | None = None
    attempts: int | None = None
    backoff: Backoff | None = None
    timeout_ms: int | None = None
    idempotency_key: str | None = None


class JobRequest(msgspec.Struct, frozen=True):
    """A job as a producer asks for it, on `job-requests`.

    `series` above 0 asks for another attempt series of a job that ended (a retry by hand, a re-drive).
    """

    job_id: str
    queue: str
    type: str
    data: str
    accepted_at: int
    options: JobOptions = JobOptions()
    document_id: str | None = None
    ordering_key: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    request_id: str | None = None
    series: int = 0


class Event(msgspec.Struct, frozen=True):
    """Something that happened in a document, on `events`."""

    event_id: str
    type: str
    document_id: str
    user_id: str
    timestamp: int
    data: str
    tenant_id: str | None = None
    request_id: str | None = None


class Job(msgspec.Struct, frozen=True):
    """A job as it stands on a tier topic: every default filled in, everything decided that can be.

    `ordering_key` is also the record's key. `idempotency` is the digest under which the effect is unique, or
    None; `data_hash` tells a repeat from another job under the same key.
    """

    job_id: str
    series: int
    queue: str
    type: str
    tier: int
    priority: int
    data: str
    data_hash: bytes
    ordering_key: str
    accepted_at: int
    attempts: int
    backoff: str
    backoff_delay_ms: int
    backoff_max_ms: int
    backoff_jitter: bool
    timeout_ms: int
    source_topic: str
    source_partition: int
    source_offset: int
    not_before: int | None = None
    idempotency: bytes | None = None
    idempotency_key: str | None = None
    document_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    request_id: str | None = None
    traceparent: str | None = None


class Failure(msgspec.Struct, frozen=True):
    """Why an attempt failed. `error_class` is a short stable word (`timeout`, `card_declined`, ...)."""

    error_class: str
    message: str
    retryable: bool


class Transition(msgspec.Struct, frozen=True):
    """One change of a job's state. `number` counts within (job, series); 0 is the tier record itself."""

    number: int
    from_state: str
    to_state: str
    attempt: int
    at: int
    reason: str | None = None
    due: int | None = None
    progress: int | None = None
    stage: str | None = None
    message: str | None = None
    result: str | None = None
    error: Failure | None = None
    duplicate_of: str | None = None


class Lifecycle(msgspec.Struct, frozen=True):
    """What happened to a job, on `lifecycle.tier-N`: one or more transitions, oldest first."""

    job_id: str
    series: int
    queue: str
    type: str
    tier: int
    worker: str
    transitions: list[Transition]
    accepted_at: int
    document_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    request_id: str | None = None


class AttemptError(msgspec.Struct, frozen=True):
    """One failed attempt in a dead letter."""

    attempt: int
    at: int
    error_class: str
    message: str


class DeadLetter(msgspec.Struct, frozen=True):
    """A job whose attempts are used up or cannot help, or a record that is none, with its original bytes.

    `fingerprint` groups letters of one cause. At most the first and the nine last errors are kept.
    """

    letter_id: str
    tier: int
    source_topic: str
    source_partition: int
    source_offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    error_class: str
    message: str
    fingerprint: str
    first_failed_at: int
    last_failed_at: int
    errors: list[AttemptError] = []
    job_id: str | None = None
    series: int = 0
    queue: str | None = None
    type: str | None = None
    data: str | None = None
    document_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    request_id: str | None = None
    traceparent: str | None = None


class LiveUpdate(msgspec.Struct, frozen=True):
    """What the browsers of a document should hear. `sequence` rises within the document."""

    kind: str
    document_id: str
    sequence: int
    at: int
    payload: str
    tenant_id: str | None = None


class Control(msgspec.Struct, frozen=True):
    """An operator's order that every worker obeys, on the compacted topic `control`.

    `action` is `pause` or `resume` (of the queue, or of one `type` of it), or `clear`: then jobs in `state`
    (`waiting` or `delayed`; None: both) that were accepted up to `before` are cancelled by who meets them.
    """

    action: str
    queue: str
    at: int
    by: str
    type: str | None = None
    reason: str | None = None
    before: int | None = None
    state: str | None = None


class Parked(msgspec.Struct, frozen=True):
    """A job that cannot run now, or runs for so long that its source offset was let go; on `tier-N.retry`.

    `state` is `active` (running, checked in until `due`), `delayed` (a retry, due at `due`), or `waiting`
    (behind another job of its key). A `holder` keeps the later jobs of its key waiting. `next_number` is the
    number of its next transition. With a `gate` (`queue:money`) it waits until this is open.
    """

    job: Job
    lane: int
    state: str
    holder: bool
    attempt: int
    next_number: int
    due: int
    interruptions: int = 0
    errors: list[AttemptError] = []
    gate: str | None = None


class IdempotencyEntry(msgspec.Struct, frozen=True):
    """What is known of an idempotency key, in the table `idempotency`; absent or expired means nothing."""

    job_id: str
    data_hash: bytes
    state: str
    expires_at: int
    result: str | None = None
    series: int = 0


class Cell(msgspec.Struct, frozen=True):
    """The input of one cell of a document, in the table `documents`: a JSON value, or a formula with `=`."""

    content: str
    at: int
    user_id: str | None = None


class Probe(msgspec.Struct, frozen=True):
    """The one call that a half-open circuit lets through. `succeeded` is None while it runs."""

    number: int
    succeeded: bool | None = None


class LimitRequest(msgspec.Struct, frozen=True):
    """What a worker holds and wants of a provider group, on `limit-requests`; or an operator's `order`.

    A statement of the whole, so that a lost one does no harm: of the calls that it runs or may start at once
    (`held`) every grant is counted that answers a request up to `seen`; later it uses none of these.
    `wants` counts the jobs that wait, by lane. `outcomes` and `pause_ms` (a 429, with its Retry-After or 0)
    are those since the last one. `order` is `stop`, `resume` or `reset`.
    """

    group: str
    worker: str = ""
    incarnation: int = 0
    number: int = 0
    seen: int = 0
    held: int = 0
    wants: list[int] = []
    outcomes: list[bool] = []
    pause_ms: int | None = None
    probe: Probe | None = None
    order: str | None = None
    by: str | None = None


class LimitGrant(msgspec.Struct, frozen=True):
    """What the limiter gives a worker, on `limit-grants`, in answer to its request `number`.

    `tokens` calls may start, each within half a second of the moment the request was sent. `probe` is the
    number of the probe that the one token stands for, 0 for none. `state` says why there are none:
    `stopped`, `cooldown`, `open`, `half_open`, or `busy`.
    """

    group: str
    worker: str
    incarnation: int
    number: int
    tokens: int
    state: str
    probe: int = 0


class Granted(msgspec.Struct, frozen=True):
    """A grant whose worker has not said yet that it saw it."""

    number: int
    tokens: int


class SlotHolder(msgspec.Struct, frozen=True):
    """The slots of one worker. `renewed` is when its last request was written to the log."""

    worker: str
    incarnation: int
    number: int
    held: int
    renewed: int
    granted: list[Granted] = []


class RateLimit(msgspec.Struct, frozen=True):
    """A provider group in the table `rate_limits`.

    `milli_tokens` at `at` are for readers: a new owner starts with an empty bucket. `probe` counts the
    probes, the last of them is `prober`'s while the circuit is half open.
    """

    group: str
    at: int
    milli_tokens: int
    log_time: int
    holders: list[SlotHolder] = []
    stopped: bool = False
    stopped_by: str | None = None
    closed_until: int = 0
    circuit: str = "closed"
    open_until: int = 0
    outcomes: list[bool] = []
    probe: int = 0
    prober: str | None = None
    prober_incarnation: int = 0
    probe_request: int = 0
