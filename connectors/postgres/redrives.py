"""Runs of re-drives and their letters in Postgres: no letter is chosen twice, one process works on a run."""

from collections.abc import Collection, Sequence
from typing import Any, cast

import msgspec
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from connectors.postgres.dead_letters import KeptLetter, Tenants, kept
from connectors.postgres.letter_filter import LetterFilter, condition
from connectors.postgres.letter_rows import millis
from connectors.postgres.pool import Pool
from connectors.redrive.canary import Plan, Tally
from connectors.redrive.edit import Edit

LEASE_S = 30

_RUN = "select *, edit::text as edit_text from redrive_runs r"
_TALLY = """select count(*) filter (where state = 'sent') as sent,
    count(*) filter (where outcome = 'completed') as completed,
    count(*) filter (where outcome = 'failing') as failing,
    count(*) filter (where state = 'refused') as refused
    from dead_letter_redrives where run_id = %s"""
_CHOOSE = """insert into dead_letter_redrives as known (letter_id, run_id, place, state)
    select letter_id, %(run)s, row_number() over (order by last_failed_at, letter_id), 'chosen'
    from (select distinct on (letter_id) letter_id, last_failed_at from dead_letter_jobs l where {where}) l
    on conflict (letter_id) do update
        set run_id = excluded.run_id, place = excluded.place, state = 'chosen', problem = null
        where known.state = 'refused'"""
_NEXT = """select l.*, l.data::text as data, l.errors::text as errors, null as run_id
    from dead_letter_redrives chosen join dead_letter_jobs l using (letter_id)
    where chosen.run_id = %s and chosen.state = 'chosen' order by chosen.place limit %s"""


class Run(msgspec.Struct, frozen=True, rename="camel"):
    """A re-drive as its readers see it. `state` is running, done, or stopped for the `reason`."""

    run_id: str
    by: str
    at: int
    tenants: list[str] | None
    asked: Any
    plan: Plan
    edit: Edit
    state: str
    reason: str | None
    finished_at: int | None
    tally: Tally


class Sent(msgspec.Struct, frozen=True):
    """A letter of a run that was sent."""

    letter_id: str
    job_id: str
    series: int


class RedriveStore:
    """The tables of re-drives. UnavailableError when Postgres does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(
        self,
        run_id: str,
        asked: LetterFilter,
        tenants: Tenants,
        edit: Edit,
        plan: Plan,
        *,
        by: str,
        holder: str,
    ) -> int:
        """Choose the letters that a filter means and nobody has re-driven; how many. Leased by `holder`."""
        where, values = condition(asked, tenants)
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(
                """insert into redrive_runs (run_id, ordered_by, tenants, asked, edit, rate, stages,
                    tolerated, patience_s, holder, leased_until, state)
                values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now() + make_interval(secs => %s),
                    'running')""",
                (
                    run_id, by, None if tenants is None else sorted(tenants),
                    Jsonb(msgspec.to_builtins(asked)), _text(edit),
                    plan.rate, list(plan.stages), plan.tolerated, plan.patience_s, holder, LEASE_S,
                ),
            )  # fmt: skip
            chosen = await connection.execute(
                cast(Any, _CHOOSE.format(where=where)), {**values, "run": run_id}
            )
            await connection.execute(
                "update redrive_runs set total = %s where run_id = %s", (chosen.rowcount, run_id)
            )
        return chosen.rowcount

    async def run(self, run_id: str) -> Run | None:
        """A run and its figures as they stand."""
        rows = await self._rows(f"{_RUN} where run_id = %s", (run_id,))
        if not rows:
            return None
        [tally] = await self._rows(_TALLY, (run_id,))
        return _run(rows[0], tally)

    async def runs(self, tenants: Tenants, limit: int = 20) -> list[Run]:
        """The latest runs; of tenants, those that touch no letters but theirs."""
        rows = await self._rows(
            f"{_RUN} where %(all)s or tenants <@ %(tenants)s::text[] order by ordered_at desc"
            " limit %(limit)s",
            {"all": tenants is None, "tenants": sorted(tenants or ()), "limit": limit},
        )
        return [_run(row, (await self._rows(_TALLY, (row["run_id"],)))[0]) for row in rows]

    async def hold(self, run_id: str, holder: str) -> bool:
        """Lease a running run, or renew our lease; False when it is over or another's."""
        return bool(
            await self._execute(
                """update redrive_runs set holder = %(holder)s,
                    leased_until = now() + make_interval(secs => %(lease)s)
                where run_id = %(run)s and state = 'running'
                    and (holder = %(holder)s or leased_until < now())""",
                {"run": run_id, "holder": holder, "lease": LEASE_S},
            )
        )

    async def abandoned(self) -> list[str]:
        """Runs whose process has died."""
        rows = await self._rows(
            "select run_id from redrive_runs where state = 'running' and leased_until < now()", ()
        )
        return [row["run_id"] for row in rows]

    async def following(self, run_id: str, limit: int) -> list[KeptLetter]:
        """The next letters to send, with their original bytes, oldest failure first."""
        return [kept(row) for row in await self._rows(_NEXT, (run_id, limit))]

    async def sent(self, run_id: str, letters: Sequence[Sent]) -> None:
        """These are with Kafka."""
        await self._execute(
            """update dead_letter_redrives known set state = 'sent', sent_at = now(), job_id = sent.job_id,
                series = sent.series
            from unnest(%s::text[], %s::text[], %s::bigint[]) as sent (letter_id, job_id, series)
            where known.letter_id = sent.letter_id and known.run_id = %s""",
            (
                [one.letter_id for one in letters], [one.job_id for one in letters],
                [one.series for one in letters], run_id,
            ),
        )  # fmt: skip

    async def refused(self, run_id: str, letter_id: str, problem: str) -> None:
        """This one cannot be sent as ordered; another run may."""
        await self._execute(
            "update dead_letter_redrives set state = 'refused', problem = %s"
            " where run_id = %s and letter_id = %s",
            (problem.replace("\x00", "\ufffd")[:2_000], run_id, letter_id),
        )

    async def problems(self, run_id: str, limit: int = 10) -> list[tuple[str, str]]:
        """Some letters that could not be sent, and why."""
        rows = await self._rows(
            "select letter_id, problem from dead_letter_redrives where run_id = %s and state = 'refused'"
            " order by place limit %s",
            (run_id, limit),
        )
        return [(row["letter_id"], row["problem"]) for row in rows]

    async def watched(self, run_id: str, limit: int) -> list[Sent]:
        """Letters that were sent and did not complete yet, as far as is known; those unjudged first."""
        rows = await self._rows(
            """select letter_id, job_id, series from dead_letter_redrives
            where run_id = %s and state = 'sent' and outcome is distinct from 'completed'
            order by outcome nulls first, place limit %s""",
            (run_id, limit),
        )
        return [Sent(row["letter_id"], row["job_id"], row["series"]) for row in rows]

    async def judged(self, run_id: str, outcomes: dict[str, str]) -> None:
        """What became of letters."""
        await self._execute(
            """update dead_letter_redrives known set outcome = judged.outcome
            from unnest(%s::text[], %s::text[]) as judged (letter_id, outcome)
            where known.letter_id = judged.letter_id and known.run_id = %s""",
            (list(outcomes), list(outcomes.values()), run_id),
        )

    async def finish(self, run_id: str, state: str, reason: str | None = None) -> bool:
        """The run is over; what it has not sent may be chosen again. False when it was over before."""
        async with self._pool.connection() as connection, connection.transaction():
            ended = await connection.execute(
                "update redrive_runs set state = %s, reason = %s, finished_at = now(), holder = null"
                " where run_id = %s and state = 'running'",
                (state, reason, run_id),
            )
            if ended.rowcount:
                await connection.execute(
                    "delete from dead_letter_redrives where run_id = %s and state = 'chosen'", (run_id,)
                )
        return ended.rowcount > 0

    async def _rows(self, query: str, values: Collection[Any]) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return await (await cursor.execute(cast(Any, query), cast(Any, values))).fetchall()

    async def _execute(self, query: str, values: Any) -> int:
        async with self._pool.connection() as connection:
            return (await connection.execute(cast(Any, query), values)).rowcount


def _text(edit: Edit) -> str:
    return msgspec.json.encode(edit).decode()


def _run(row: dict[str, Any], tally: dict[str, Any]) -> Run:
    return Run(
        run_id=row["run_id"],
        by=row["ordered_by"],
        at=millis(row["ordered_at"]),
        tenants=row["tenants"],
        asked=row["asked"],
        plan=Plan(tuple(row["stages"]), row["tolerated"], row["patience_s"], row["rate"]),
        edit=msgspec.json.decode(row["edit_text"], type=Edit),
        state=row["state"],
        reason=row["reason"],
        finished_at=None if row["finished_at"] is None else millis(row["finished_at"]),
        tally=Tally(total=row["total"], **tally),
    )
