"""From a letter and a person's edit to the record that is sent; pure."""

import uuid

import msgspec

from connectors.gateway.envelope import read_job
from connectors.kafka.producer import Outgoing
from connectors.kafka.redrive import Redrive, redrive
from connectors.redrive.edit import Edit, edited
from schemas.errors import ContractError
from schemas.records import DeadLetter, JobRequest
from streams.codec import Codec
from streams.core.admission import Source, job_of_request
from streams.topics import Topology

_NOWHERE = Source("", -1, -1)
_NAMESPACE = uuid.UUID("f0a3c9d4-5b7e-5c1a-8d2f-4f6b1c0e9a57")


def request_of(letter: DeadLetter, edit: Edit, topology: Topology, codec: Codec, now: int) -> Redrive:
    """What to send for a letter. The same letter and edit always give the same job id and series.

    ContractError when it cannot be: the edit breaks the contract, or there is no job in the letter.
    """
    if edit.record is not None:
        return _of_record(letter, edit.record, topology, codec, now)
    if letter.tier and letter.job_id is None:
        raise ContractError.of("", "the sink could not write this record; its job is not dead")
    return redrive(letter, topology, codec, data=edited(letter, edit))


def _of_record(letter: DeadLetter, record: str, topology: Topology, codec: Codec, now: int) -> Redrive:
    """A job in place of a record that was none; its id follows from the letter: a repeat is one job."""
    if letter.tier:
        raise ContractError.of("record", "this letter is a job's: change its data with `data` or `patch`")
    submitted = read_job(msgspec.Raw(record))
    envelope, data = submitted.envelope, submitted.data
    if envelope is None or data is None or submitted.problems:
        raise ContractError(submitted.problems)
    job_id = envelope.job_id or letter.job_id or str(uuid.uuid5(_NAMESPACE, letter.letter_id))
    request = JobRequest(
        job_id=job_id, queue=envelope.queue, type=envelope.type, data=data, accepted_at=now,
        options=envelope.options.record(envelope.options.idempotency_key), document_id=envelope.document_id,
        ordering_key=envelope.ordering_key, user_id=envelope.user_id or letter.user_id,
        tenant_id=envelope.tenant_id or letter.tenant_id, request_id=letter.request_id,
    )  # fmt: skip
    if not request.options.idempotency_key and not job_of_request(request, _NOWHERE).idempotency:
        # A type without a rule of its own: the id keeps a repeat of this very order from running twice.
        options = msgspec.structs.replace(request.options, idempotency_key=f"job:{job_id}")
        request = msgspec.structs.replace(request, options=options)
    job = job_of_request(request, _NOWHERE)
    headers = {"job-id": job_id.encode()}
    key = (job.document_id or job.ordering_key).encode()
    return Redrive(job_id, 0, Outgoing(topology.job_requests, key, codec.encode(request), headers))
