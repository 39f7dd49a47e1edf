"""When a failed attempt is tried again, and when it is not."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.records import Failure, Job

Random = Callable[[], float]

# A provider that asks for more is not obeyed: nobody waits a month for a retry.
MAX_RETRY_AFTER_S = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt is due at `due` (ms since the epoch)."""

    due: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class Dead:
    """No further attempt: the job becomes a dead letter."""

    failure: Failure


def delay_ms(job: Job, attempt: int, random: Random) -> int:
    """The pause after attempt number `attempt` (1 is the first), jitter included."""
    growth = {"fixed": 1, "linear": attempt, "exponential": 1 << (attempt - 1)}[job.backoff]
    full = min(job.backoff_delay_ms * growth, job.backoff_max_ms)
    return round(full * random()) if job.backoff_jitter else full


def after_failure(
    job: Job, attempt: int, failure: Failure, now: int, random: Random, retry_after_s: float | None = None
) -> Retry | Dead:
    """What follows a failed attempt; a provider's `Retry-After` wins over the backoff."""
    if not failure.retryable or attempt >= job.attempts:
        return Dead(failure)
    if retry_after_s is None:
        return Retry(now + delay_ms(job, attempt, random), failure)
    # In this order, so that a NaN counts as 0.
    asked_s = min(max(0.0, retry_after_s), MAX_RETRY_AFTER_S)
    return Retry(now + round(asked_s * 1000), failure)
