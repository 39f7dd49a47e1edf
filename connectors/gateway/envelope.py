"""What a producer sends around a job's data: validated member by member, unknown ones refused."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from schemas.errors import Problem
from schemas.payloads.contract import problems_of
from schemas.priorities import NAMES
from schemas.records import Backoff, JobOptions
from streams.core.admission import MAX_ATTEMPTS, MAX_DELAY_MS, MAX_TIMEOUT_MS

NOT_YET = ("dependsOn", "onParentFailure", "webhook", "repeat")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not contain control characters")
    return text


def _priority(given: Any) -> Any:
    if isinstance(given, str):
        if given.lower() not in NAMES:
            raise ValueError(f"use 1 to 10 or one of {', '.join(NAMES)}")
        return NAMES[given.lower()]
    return given


def _moment(given: Any) -> Any:
    """Milliseconds since the epoch, or ISO 8601 with a zone, as milliseconds."""
    if not isinstance(given, str):
        return given
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        raise ValueError("use ISO 8601 with a zone, or milliseconds since the epoch") from None
    if at.tzinfo is None:
        raise ValueError("add the zone, for instance Z")
    return int(at.astimezone(UTC).timestamp() * 1000)


def _uuid(given: Any) -> Any:
    """Strict mode takes no text for a UUID outside JSON mode; the canonical text is what we keep."""
    if not isinstance(given, str):
        raise ValueError("must be a UUID")
    try:
        return str(UUID(given))
    except ValueError:
        raise ValueError("must be a UUID") from None


Id = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_printable)]
Uuid = Annotated[str, BeforeValidator(_uuid), Field(json_schema_extra={"format": "uuid"})]
Milliseconds = Annotated[int, Field(ge=0, le=MAX_DELAY_MS)]
Moment = Annotated[int, BeforeValidator(_moment), Field(ge=0, le=253_402_300_799_999)]
Priority = Annotated[int, BeforeValidator(_priority), Field(ge=1, le=10)]


class Strict(BaseModel):
    """Members exactly as declared, in camelCase."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=False
    )


class BackoffOptions(Strict):
    """The wait between attempts; times in milliseconds."""

    type: Literal["fixed", "linear", "exponential"] | None = None
    delay: Milliseconds | None = None
    max_delay: Milliseconds | None = None
    jitter: bool | None = None


class Options(Strict):
    """What may be set for one job; what is absent comes from its type. Times in milliseconds."""

    priority: Priority | None = None
    delay: Milliseconds | None = None
    run_at: Moment | None = None
    attempts: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)] | None = None
    backoff: BackoffOptions | None = None
    timeout: Annotated[int, Field(ge=1, le=MAX_TIMEOUT_MS)] | None = None
    idempotency_key: Key | None = None

    def record(self, idempotency_key: str | None) -> JobOptions:
        """The same for the record on Kafka."""
        own = self.backoff
        return JobOptions(
            priority=self.priority,
            delay_ms=self.delay,
            run_at=self.run_at,
            attempts=self.attempts,
            backoff=Backoff(own.type, own.delay, own.max_delay, own.jitter) if own else None,
            timeout_ms=self.timeout,
            idempotency_key=idempotency_key,
        )


class Envelope(Strict):
    """A job without its data, whose contract is its type's."""

    queue: Id
    type: Id
    options: Options = Options()
    document_id: Id | None = None
    ordering_key: Id | None = None
    user_id: Id | None = None
    tenant_id: Id | None = None
    job_id: Uuid | None = None


class Submitted(msgspec.Struct, frozen=True):
    """One job as it was sent: its envelope, its data as text, and what was wrong with the envelope.

    `envelope` is None when there are problems; queue and type are known even then if they are texts, so that
    the data can be checked all the same and everything wrong is told at once.
    """

    envelope: Envelope | None
    data: str | None
    problems: list[Problem]
    queue: str | None = None
    type: str | None = None


def read_job(raw: msgspec.Raw, *, queue: str | None = None) -> Submitted:
    """Take a job apart. `queue` is the batch's, for a member of one."""
    members = msgspec.json.decode(raw)
    if not isinstance(members, dict):
        return Submitted(None, None, [Problem("", "must be an object")])
    problems = _not_yet(members)
    if queue is not None:
        problems += [Problem("queue", "belongs to the batch")] if "queue" in members else []
        members["queue"] = queue
    data = _data_of(raw, problems)
    members.pop("data", None)
    envelope, wrong = _validated(members)
    return Submitted(
        envelope, data, problems + wrong, _text(members.get("queue")), _text(members.get("type"))
    )  # fmt: skip


def _validated(members: dict[str, Any]) -> tuple[Envelope | None, list[Problem]]:
    try:
        envelope = Envelope.model_validate(members)
    except ValidationError as error:
        return None, problems_of(error)
    if envelope.options.delay and envelope.options.run_at is not None:
        return None, [Problem("options.runAt", "give delay or runAt, not both")]
    return envelope, []


def _not_yet(members: dict[str, Any]) -> list[Problem]:
    """Take out what is specified but not offered yet: doing it halfway would be worse than saying so."""
    options = members.get("options")
    places = [("", members)] + ([("options.", options)] if isinstance(options, dict) else [])
    return [
        Problem(prefix + name, "not offered by this version")
        for prefix, place in places
        for name in NOT_YET
        if place.pop(name, None) is not None
    ]


def _data_of(raw: msgspec.Raw, problems: list[Problem]) -> str | None:
    """The data exactly as it was sent."""
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    if "data" not in members:
        problems.append(Problem("data", "Field required"))
        return None
    text = bytes(members["data"]).decode()
    if not text.startswith("{"):
        problems.append(Problem("data", "must be an object"))
        return None
    return text


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
