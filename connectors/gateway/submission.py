"""From what a caller sends to the record that Kafka gets, or the refusal: pure, the clock and the ids given.

In this order: what is malformed (400, everything at once), unknown queue or type (422), not the caller's
business (403), no handler yet (501), a provider without credentials (503).
"""

from collections.abc import Callable
from typing import Any

import msgspec

from connectors.gateway.envelope import Envelope, Submitted
from connectors.gateway.identity import Identity, Role
from connectors.gateway.problems import Refusal, forbidden
from schemas.catalogue import JobType, find_type
from schemas.errors import ContractError, Problem, UnknownTypeError
from schemas.records import Job, JobRequest
from streams.core.admission import Source, job_of_request

_NOWHERE = Source("", -1, -1)


class Submission(msgspec.Struct, frozen=True):
    """A job that may be accepted: what goes to Kafka, and what the router will make of it.

    `chosen_id`: the job id is the caller's, not ours.
    """

    request: JobRequest
    job: Job
    job_type: JobType
    chosen_id: bool = False


class Rules(msgspec.Struct, frozen=True):
    """What this installation can do."""

    available: frozenset[str]
    missing_setting: Callable[[str], str | None]


def submission(
    submitted: Submitted,
    identity: Identity,
    rules: Rules,
    *,
    now_ms: int,
    new_id: str,
    request_id: str,
    header_key: str | None = None,
) -> Submission:
    """The job, or ContractError (400), UnknownTypeError (422) or Refusal."""
    problems = list(submitted.problems)
    envelope, data = submitted.envelope, submitted.data
    if envelope is not None:
        problems += _key_problems(envelope, header_key)
    if envelope is None or data is None or problems:
        raise ContractError(problems + _data_problems(submitted))
    job_type = find_type(envelope.queue, envelope.type)
    _refuse_internal(job_type)
    members = msgspec.json.decode(data)
    tenant_id = tenant_of(identity, envelope.tenant_id, members)
    request = _request(envelope, data, job_type, identity, header_key, tenant_id, now_ms, new_id, request_id)
    job = job_of_request(request, _NOWHERE)
    request = msgspec.structs.replace(request, document_id=job.document_id)
    _check_owner(identity, envelope.user_id, members)
    check_document(identity, job.document_id)
    check_offered(rules, job_type)
    return Submission(request, job, job_type, envelope.job_id is not None)


def tenant_of(identity: Identity, named: str | None, data: dict[str, Any]) -> str | None:
    """The tenant of a job: named, else the data's venue if it is the caller's, else the caller's only one.

    Refusal 403 for a tenant that the token does not hold, ContractError when it holds several and none is
    named: money must not land in the first one of a list.
    """
    if named is not None:
        if identity.role is not Role.ADMIN and named not in identity.tenants:
            raise forbidden("tenantId is not among the token's tenants")
        return named
    venue = data.get("venueId")
    if isinstance(venue, str) and venue in identity.tenants:
        return venue
    if len(identity.tenants) > 1:
        raise ContractError.of("tenantId", "the token has several tenants: name one")
    return identity.tenants[0] if identity.tenants else None


def check_document(identity: Identity, document_id: str | None) -> None:
    """Refusal 403 for a document that the token does not allow."""
    if document_id is not None and not identity.may_open(document_id):
        raise forbidden("the token does not allow this document")


def check_offered(rules: Rules, job_type: JobType) -> None:
    """Refusal 501 without a handler, 503 without its provider's credentials: nothing is simulated."""
    if job_type.kind not in rules.available:
        raise Refusal(501, "not_offered", f"jobs of type {job_type.kind!r} are not offered by this version")
    missing = rules.missing_setting(job_type.kind)
    if missing is not None:
        raise Refusal(503, "not_configured", f"jobs of type {job_type.kind!r} need the setting {missing}")


def _request(
    envelope: Envelope, data: str, job_type: JobType, identity: Identity, header_key: str | None,
    tenant_id: str | None, now_ms: int, new_id: str, request_id: str,
) -> JobRequest:  # fmt: skip
    return JobRequest(
        job_id=envelope.job_id or new_id,
        queue=job_type.queue,
        type=job_type.kind,
        data=data,
        accepted_at=now_ms,
        options=envelope.options.record(_idempotency_key(envelope, job_type, header_key)),
        document_id=envelope.document_id,
        ordering_key=envelope.ordering_key,
        user_id=envelope.user_id or _user_of(data) or identity.subject,
        tenant_id=tenant_id,
        request_id=request_id,
    )


def _user_of(data: str) -> str | None:
    """Whom the data names: an admin submits for others, and the job is theirs to see."""
    user = msgspec.json.decode(data).get("userId")
    return user if isinstance(user, str) and 0 < len(user) <= 200 and user.isprintable() else None


def _idempotency_key(envelope: Envelope, job_type: JobType, header_key: str | None) -> str | None:
    """The caller's key; for a type without a rule a job id that the caller chose is one as well."""
    key = envelope.options.idempotency_key or header_key
    if key is None and envelope.job_id is not None and job_type.idempotency is None:
        return f"job:{envelope.job_id}"
    return key


def _key_problems(envelope: Envelope, header_key: str | None) -> list[Problem]:
    own = envelope.options.idempotency_key
    if own is not None and header_key is not None and own != header_key:
        return [Problem("options.idempotencyKey", "differs from the header Idempotency-Key")]
    return []


def _data_problems(submitted: Submitted) -> list[Problem]:
    """What is wrong with the data of a job whose envelope does not hold either."""
    if submitted.data is None or submitted.queue is None or submitted.type is None:
        return []
    try:
        find_type(submitted.queue, submitted.type).contract.parse(submitted.data)
    except UnknownTypeError:
        return []
    except ContractError as error:
        return error.problems
    return []


def _refuse_internal(job_type: JobType) -> None:
    if not job_type.public:
        detail = f"jobs of type {job_type.kind!r} are made by Tierflow itself"
        raise Refusal(422, "refused", detail, problems=[Problem("type", detail)])


def _check_owner(identity: Identity, named: str | None, data: dict[str, Any]) -> None:
    """A user acts for nobody else."""
    if identity.role is not Role.USER:
        return
    for field, value in (("userId", named), ("data.userId", data.get("userId"))):
        if value is not None and value != identity.subject:
            raise forbidden(f"{field} must be the token's user")
