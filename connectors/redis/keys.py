"""The keys of the read model and how long they stay.

Everything hangs under one hash tag, so that one script may touch it all, also on a Redis cluster. Only what
may be forgotten has a time to live: ended jobs and completed keys. With `maxmemory-policy volatile-ttl` a
full Redis forgets those first that would go next anyway, and never an open job, a count or an offset.
"""

from functools import cache

from schemas.tiers import DAY_MS, POLICIES, Tier

# Tier 1 has its row in Postgres: that is asked for what is older.
_MAX_KEEP_MS = 30 * DAY_MS
# A request that the router never turns into a job (it is in the dead letters then).
ACCEPTED_KEEP_MS = DAY_MS
SAMPLES = 100
# Part of every key: with another layout nothing is found, the offsets neither, so that it is built anew.
LAYOUT = 3


def prefix_of(topic_prefix: str) -> str:
    """The beginning of every key of an installation."""
    return "{" + (topic_prefix.strip(".") or "tierflow") + "}:" + f"{LAYOUT}:"


@cache
def keep_ms(tier: int) -> int:
    """How long an ended job of a tier is remembered; ValueError when there is no such tier."""
    return min(_MAX_KEEP_MS, POLICIES[Tier(tier)].lifecycle_retention_ms)


def job(prefix: str, job_id: str) -> str:
    """String: everything known of a job, see `entries.py`."""
    return f"{prefix}job:{job_id}"


def long(prefix: str, job_id: str) -> str:
    """Hash: the contents of a job's entries that are long. Lives as long as the job."""
    return f"{prefix}long:{job_id}"


def counts(prefix: str, queue: str) -> str:
    """Hash: state -> number of jobs."""
    return f"{prefix}count:{queue}"


def samples(prefix: str, queue: str, state: str) -> str:
    """Sorted set: some job ids in a state, all waiting ones, by the time of their latest transition."""
    return f"{prefix}sample:{queue}:{state}"


def completed(prefix: str, digest: bytes) -> str:
    """String: when a job completed under an idempotency key, the hash of its data, and its id."""
    return f"{prefix}done:{digest.hex()}"


def offsets(prefix: str) -> str:
    """Hash: `topic|partition` -> next offset of the projector."""
    return f"{prefix}offsets"
