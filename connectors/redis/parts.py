"""What the projector reads of a record: by it the script knows whose, in which order and in which state.

Nothing of it can be part of a cycle, so Python's collector need not look at it.
"""

import msgspec

from schemas.records import Job, Lifecycle


class JobPart(msgspec.Struct, frozen=True, gc=False):
    """Of a job's own record."""

    job_id: str
    series: int
    queue: str
    type: str
    tier: int
    data_hash: bytes
    accepted_at: int
    idempotency: bytes | None


class TransitionPart(msgspec.Struct, frozen=True, gc=False):
    """Of a transition."""

    number: int
    to_state: str
    at: int


class LifecyclePart(msgspec.Struct, frozen=True, gc=False):
    """Of a record of transitions."""

    job_id: str
    series: int
    queue: str
    tier: int
    transitions: list[TransitionPart]


Part = JobPart | LifecyclePart

PARTS: dict[type[JobPart] | type[LifecyclePart], type[msgspec.Struct]] = {
    JobPart: Job, LifecyclePart: Lifecycle
}  # fmt: skip
"""Of which records they are."""
