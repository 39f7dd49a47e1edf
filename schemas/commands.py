"""Commands: what people tell the owner of one job, by the job's own way so that nothing overtakes it.

A command is a `JobRequest` of the queue `control`, with the ordering key of its job. The router puts it into
the urgent lane of the job's tier and partition. It is no job: it has no status and no history of its own.
"""

import msgspec

from schemas.errors import ContractError
from schemas.records import Job, JobRequest
from schemas.tiers import Tier

CONTROL_QUEUE = "control"
CANCEL = "cancel"
MAX_REASON = 500


class Cancel(msgspec.Struct, frozen=True, rename="camel"):
    """End this job wherever it stands: its series up to `series`; a later one was asked for since."""

    job_id: str
    tier: int
    by: str
    series: int = 0
    reason: str | None = None

    @property
    def says(self) -> str:
        """The reason as it stands in the job's history."""
        return f"by {self.by}: {self.reason}" if self.reason else f"by {self.by}"


def is_command(record: Job | JobRequest) -> bool:
    """Whether a record is a command, not a job."""
    return record.queue == CONTROL_QUEUE


def cancel_request(
    order: Cancel, ordering_key: str, *, command_id: str, at: int, request_id: str | None = None
) -> JobRequest:
    """The command as it is produced, under the key `ordering_key`."""
    return JobRequest(
        job_id=command_id, queue=CONTROL_QUEUE, type=CANCEL, data=msgspec.json.encode(order).decode(),
        accepted_at=at, ordering_key=ordering_key, user_id=order.by, request_id=request_id,
    )  # fmt: skip


def cancel_of(record: Job | JobRequest) -> Cancel:
    """What a command says; ContractError when it is none that we know."""
    if record.type != CANCEL:
        raise ContractError.of("type", f"{record.type!r} is no command")
    try:
        order = msgspec.json.decode(record.data, type=Cancel)
        Tier(order.tier)
    except (msgspec.DecodeError, ValueError) as error:
        raise ContractError.of("data", str(error)) from None
    if not order.job_id or not order.by or order.series < 0 or len(order.reason or "") > MAX_REASON:
        raise ContractError.of("data", f"needs a jobId, by, and a reason of at most {MAX_REASON} characters")
    return order
