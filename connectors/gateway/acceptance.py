"""Accepting a job: look for the first of its key, write it to Kafka, show it as waiting. In that order."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from connectors.gateway.identity import Identity
from connectors.gateway.parts import Parts
from connectors.gateway.problems import Refusal
from connectors.gateway.roles import may_see
from connectors.gateway.submission import Submission
from connectors.gateway.submit_status import SubmitStatus
from connectors.kafka.producer import Outgoing
from schemas.errors import Problem
from schemas.states import State


class Earlier(NamedTuple):
    """A job that was there before: done (`duplicate`), or accepted under the same id and on its way."""

    job_id: str
    status: Literal["duplicate", "queued"]


class Acceptance:
    """Accepts jobs on behalf of the endpoints."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._topic = parts.topology.job_requests
        self.status = SubmitStatus(parts.status, parts.metrics)

    async def earlier(self, submission: Submission, identity: Identity) -> Earlier | None:
        """The job that makes this one needless, as far as that is known; nothing is written for it.

        Refusal 422 when it had other data, when it ended without success under the id that the caller chose,
        or when that id belongs to a job that is not the caller's.
        """
        if submission.chosen_id:
            same = await self._of_same_id(submission, identity)
            if same is not None:
                return same
        known = await self.status.completed(submission.job.idempotency)
        if known is None:
            return None
        if known.data_hash != submission.job.data_hash:
            raise _conflict("options.idempotencyKey", "the key was used for a job with other data")
        return Earlier(known.job_id, "duplicate")

    async def _of_same_id(self, submission: Submission, identity: Identity) -> Earlier | None:
        """Nobody writes into another job's history, and a repeat not twice into its own."""
        job = submission.job
        known = await self.status.known(job.job_id)
        if known is None:
            return None
        same = known.type == job.type and known.data in (None, job.data)
        if not same or not may_see(identity, known.user_id, known.tenant_id):
            raise _conflict("jobId", "the id belongs to another job")
        if known.state in (State.DEAD, State.CANCELLED):
            raise _conflict("jobId", f"the job of this id ended {known.state}: choose a new id")
        ended = known.state in (State.COMPLETED, State.DUPLICATE)
        return Earlier(known.job_id, "duplicate" if ended else "queued")

    async def accept(self, submission: Submission, traceparent: str) -> None:
        """Return when Kafka has the job. UnavailableError: it is not accepted."""
        record = self._record(submission, traceparent)
        await self._parts.producer.send(record.topic, record.key, record.value, record.headers)
        await self._done([submission])

    async def accept_all(self, submissions: Sequence[Submission], traceparent: str) -> None:
        """Return when Kafka has every job. UnavailableError: none is accepted."""
        if submissions:
            await self._parts.producer.send_all([self._record(s, traceparent) for s in submissions])
            await self._done(submissions)

    async def _done(self, submissions: Sequence[Submission]) -> None:
        for submission in submissions:
            job = submission.job
            self._parts.metrics.accepted.labels(job.queue, job.type).inc()
        await self.status.accepted(submissions)

    def _record(self, submission: Submission, traceparent: str) -> Outgoing:
        request = submission.request
        headers = {
            "job-id": request.job_id,
            "request-id": request.request_id or "",
            "traceparent": traceparent,
            "tenant": request.tenant_id or "",
        }
        # By document, so that a document's requests stay in one partition; else by what orders the job.
        key = request.document_id or submission.job.ordering_key
        return Outgoing(
            self._topic,
            key.encode(),
            self._parts.codec.encode(request),
            {name: value.encode() for name, value in headers.items() if value},
        )


def _conflict(field: str, message: str) -> Refusal:
    return Refusal(422, "idempotency_conflict", message, problems=[Problem(field, message)])
