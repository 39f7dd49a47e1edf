"""What a job author imports, in one place; every name is defined elsewhere, docs/jobs.md explains them."""

from agents.context import Context
from agents.handlers.registry import handles
from schemas.catalogue import QUEUES
from schemas.errors import PermanentError, StoppedError, TransientError
from schemas.job_type import Queue, job_type
from schemas.payloads.contract import Contract
from schemas.retry import RetryPolicy
from schemas.tiers import Tier

__all__ = [
    "QUEUES",
    "Context",
    "Contract",
    "PermanentError",
    "Queue",
    "RetryPolicy",
    "StoppedError",
    "Tier",
    "TransientError",
    "handles",
    "job_type",
]
