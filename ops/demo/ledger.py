"""The books: what was accepted against what ended, and against the rows in Postgres."""

import asyncio
import statistics
from collections import Counter
from dataclasses import dataclass

import psycopg

from ops.demo.checks import Check, equal, none_of
from ops.demo.observer import Observer, Seen
from schemas.states import TERMINAL
from schemas.tiers import Tier

ROWS_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class TierLine:
    """One tier's figures; times from acceptance to completion in milliseconds."""

    tier: int
    accepted: int
    completed: int
    dead: int
    duplicate: int
    pending: int
    p50_ms: float | None
    p99_ms: float | None


def lines(accepted: dict[str, int], observer: Observer) -> list[TierLine]:
    """A line for each tier."""
    return [_line(tier, accepted, observer.jobs) for tier in Tier]


def _line(tier: Tier, accepted: dict[str, int], jobs: dict[str, Seen]) -> TierLine:
    ids = [job_id for job_id, of in accepted.items() if of == tier]
    states = Counter(jobs[job_id].state if job_id in jobs else "unseen" for job_id in ids)
    spans = sorted(
        seen.ended_at - seen.accepted_at
        for job_id in ids
        if (seen := jobs.get(job_id)) is not None and seen.state == "completed" and seen.ended_at is not None
    )
    cuts = statistics.quantiles(spans, n=100) if len(spans) > 1 else None
    ended = sum(count for state, count in states.items() if state in set(TERMINAL))
    return TierLine(
        tier.value, len(ids), states["completed"], states["dead"], states["duplicate"], len(ids) - ended,
        cuts[49] if cuts else None, cuts[98] if cuts else None,
    )  # fmt: skip


def once(accepted: dict[str, int], observer: Observer) -> list[Check]:
    """Nothing is lost and nothing ends twice."""
    jobs = observer.jobs
    lost = [job_id for job_id in accepted if job_id not in jobs or not jobs[job_id].ends]
    twice = [job_id for job_id in accepted if job_id in jobs and jobs[job_id].ends > 1]
    return [
        none_of("every accepted job ends", "accepted jobs", lost, len(accepted)),
        none_of("none ends twice", "accepted jobs", twice, len(accepted)),
    ]


async def rows(database_url: str, accepted: dict[str, int], observer: Observer) -> list[Check]:
    """Every accepted tier-1 job is one row, in the state that its records say."""
    ids = [job_id for job_id, tier in accepted.items() if tier == Tier.CRITICAL]
    expected = {job_id: observer.jobs[job_id].state for job_id in ids if job_id in observer.jobs}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ROWS_LIMIT_S
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        while True:
            found = await _states(connection, ids)
            if found == expected or loop.time() > deadline:
                break
            await asyncio.sleep(0.2)
    wrong = [f"{job_id}: {found.get(job_id)}" for job_id in ids if found.get(job_id) != expected.get(job_id)]
    return [
        equal("rows in Postgres for accepted tier-1 jobs", len(found), len(ids)),
        none_of("each row has its job's state", "rows", wrong, len(ids)),
    ]


async def _states(connection: psycopg.AsyncConnection[tuple[str, str]], ids: list[str]) -> dict[str, str]:
    cursor = await connection.execute("select job_id, state from jobs where job_id = any(%s)", (ids,))
    return {row[0]: row[1] for row in await cursor.fetchall()}
