"""What a clear promises, typed again: not the core's own word for it."""

from schemas.records import Control, Job

WAITS = ("waiting", "delayed")


def is_cleared(order: Control, job: Job, state: str) -> bool:
    """Whether a clear means this job: it waited, or was delayed, when it was ordered."""
    return (
        (job.queue, order.type or job.type) == (order.queue, job.type)
        and state in WAITS
        and order.state in (None, state)
        and job.accepted_at <= (order.before or 0)
    )
