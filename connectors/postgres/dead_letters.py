"""Dead letters for people: pages, groups, figures, one with its original bytes, all as a stream."""

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import Any, cast

import msgspec
from psycopg.rows import dict_row

from connectors.postgres.digests import LETTER_DIGESTED, digest_sql
from connectors.postgres.letter_filter import LetterFilter, condition
from connectors.postgres.letter_rows import BYTES, COLUMNS, letter, make_cursor, millis, read_cursor
from connectors.postgres.pool import Pool
from schemas.records import DeadLetter

STATEMENT_S = 30.0
MAX_PAGE = 500
_STREAMED = 500
_DELETED_AT_ONCE = 5_000
Tenants = Collection[str] | None

_FATE = """t.run_id, t.series as new_series, t.sent_at, t.outcome, r.ordered_by, r.ordered_at"""
_FROM = """from dead_letter_jobs l left join dead_letter_redrives t on t.letter_id = l.letter_id
    and t.state <> 'refused' left join redrive_runs r on r.run_id = t.run_id"""


class Redriven(msgspec.Struct, frozen=True, rename="camel"):
    """That a letter was given another try: by whom, when, as which attempt series, and what came of it."""

    run_id: str
    by: str
    at: int
    series: int | None
    sent_at: int | None
    outcome: str | None


class KeptLetter(msgspec.Struct, frozen=True):
    """A dead letter and what became of it."""

    letter: DeadLetter
    redriven: Redriven | None


class LetterPage(msgspec.Struct, frozen=True):
    """Latest first, without their original bytes; `cursor` asks for what follows."""

    letters: list[KeptLetter]
    cursor: str | None


class Group(msgspec.Struct, frozen=True, rename="camel"):
    """Letters of one cause; times are milliseconds since the epoch."""

    fingerprint: str
    error_class: str
    message: str
    types: list[str]
    count: int
    open: int
    first_seen: int
    last_seen: int
    latest_id: str


class Count(msgspec.Struct, frozen=True, rename="camel"):
    """How many of a kind, and when the last one failed."""

    name: str
    count: int
    last_failed_at: int


class Figures(msgspec.Struct, frozen=True, rename="camel"):
    """Dead letters in numbers."""

    total: int
    open: int
    redriven: int
    by_error_class: list[Count]
    by_type: list[Count]
    by_hour: list[Count]


class DeadLetterStore:
    """Reads and deletes; every call takes the tenants whose letters count, None for every tenant's."""

    def __init__(self, database_url: str, *, max_size: int = 3) -> None:
        self.pool = Pool(
            database_url, "tierflow-letters", max_size=max_size, statement_s=STATEMENT_S, read_only=False
        )

    async def page(
        self, asked: LetterFilter, tenants: Tenants, *, cursor: str | None = None, limit: int = 50
    ) -> LetterPage:
        """A page. ContractError for a cursor that no page gave."""
        where, values = condition(asked, tenants)
        limit = max(1, min(MAX_PAGE, limit))
        if cursor:
            where += " and (l.last_failed_at, l.letter_id) < (%(at)s, %(letter)s)"
            values["at"], values["letter"] = read_cursor(cursor)
        rows = await self._rows(
            f"select {COLUMNS}, {_FATE} {_FROM} where {where}"
            f" order by l.last_failed_at desc, l.letter_id desc limit {limit + 1}",
            values,
        )
        letters = [kept(row) for row in rows[:limit]]
        return LetterPage(letters, make_cursor(letters[-1].letter) if len(rows) > limit else None)

    async def one(self, letter_id: str, tenants: Tenants) -> KeptLetter | None:
        """A letter with its key, value and headers as they stood on their topic."""
        if "\x00" in letter_id:
            return None
        where, values = condition(LetterFilter(ids=[letter_id], fate="all"), tenants)
        rows = await self._rows(
            f"select {COLUMNS}, {_FATE}, {BYTES} {_FROM} where {where}"
            " order by l.last_failed_at desc limit 1",
            values,
        )
        return kept(rows[0]) if rows else None

    async def groups(self, asked: LetterFilter, tenants: Tenants, *, limit: int = 50) -> list[Group]:
        """The largest groups of one fingerprint."""
        where, values = condition(asked, tenants)
        rows = await self._rows(
            f"""select l.fingerprint, min(l.error_class) as error_class,
                (array_agg(l.message order by l.last_failed_at desc))[1] as message,
                array_agg(distinct coalesce(l.queue || '/' || l.type, l.source_topic)) as types,
                count(*) as count, count(*) filter (where t.letter_id is null) as open,
                min(l.first_failed_at) as first_seen, max(l.last_failed_at) as last_seen,
                (array_agg(l.letter_id order by l.last_failed_at desc))[1] as latest_id
            {_FROM} where {where} group by l.fingerprint order by 5 desc, 1 limit {limit}""",
            values,
        )
        return [msgspec.convert(_with_millis(row), Group, str_keys=True) for row in map(_camel, rows)]

    async def figures(self, asked: LetterFilter, tenants: Tenants) -> Figures:
        """Totals, and how they divide."""
        where, values = condition(asked, tenants)
        found = f"from (select l.*, t.letter_id is null as open {_FROM} where {where}) l"
        [total] = await self._rows(
            f"select count(*) as total, count(*) filter (where open) as open {found}", values
        )

        async def counts(name: str, order: str) -> list[Count]:
            rows = await self._rows(
                f"select {name} as name, count(*) as count, max(last_failed_at) as last {found}"
                f" group by 1 order by {order} limit 100",
                values,
            )
            return [Count(row["name"], row["count"], millis(row["last"])) for row in rows]

        hour = "to_char(date_trunc('hour', last_failed_at at time zone 'UTC'), 'YYYY-MM-DD\"T\"HH24:00\"Z\"')"
        return Figures(
            total["total"],
            total["open"],
            total["total"] - total["open"],
            await counts("error_class", "2 desc, 1"),
            await counts("coalesce(queue || '/' || type, source_topic)", "2 desc, 1"),
            sorted(await counts(hour, "1 desc"), key=lambda count: count.name),
        )

    async def stream(
        self, asked: LetterFilter, tenants: Tenants, *, with_bytes: bool = False
    ) -> AsyncIterator[KeptLetter]:
        """Every letter, oldest failure first, a few hundred in memory at a time."""
        where, values = condition(asked, tenants)
        raw = f", {BYTES}" if with_bytes else ""
        query = f"select {COLUMNS}, {_FATE}{raw} {_FROM} where {where} order by l.last_failed_at, l.letter_id"
        async with (
            self.pool.connection() as connection,
            connection.transaction(),
            connection.cursor("letters", row_factory=dict_row) as cursor,
        ):
            cursor.itersize = _STREAMED
            await cursor.execute(cast(Any, query), values)
            async for row in cursor:
                yield kept(row)

    async def delete(self, asked: LetterFilter, tenants: Tenants, *, by: str) -> int:
        """Delete letters and remember that; how many. The topic keeps them for its retention."""
        deleted = 0
        while some := await self._delete(asked, tenants, by):
            deleted += some
        return deleted

    async def _delete(self, asked: LetterFilter, tenants: Tenants, by: str) -> int:
        """A few thousand, so that no statement takes long."""
        where, values = condition(asked, tenants)
        query = f"""with chosen as (select l.letter_id from dead_letter_jobs l where {where}
                limit {_DELETED_AT_ONCE}),
            gone as (delete from dead_letter_jobs l using chosen where l.letter_id = chosen.letter_id
                returning l.*)
            insert into dead_letter_deletions (letter_id, last_failed_at, digest, source_topic, deleted_by)
            select letter_id, last_failed_at, {digest_sql(LETTER_DIGESTED, "gone")}, source_topic, %(by)s
            from gone on conflict (letter_id) do update set deleted_at = now()"""
        async with self.pool.connection() as connection:
            return (await connection.execute(cast(Any, query), {**values, "by": by})).rowcount

    async def _rows(self, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        async with self.pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return await (await cursor.execute(cast(Any, query), values)).fetchall()


def kept(row: dict[str, Any]) -> KeptLetter:
    """The letter of a row; its bytes where they were asked for."""
    if row["run_id"] is None:
        return KeptLetter(letter(row), None)
    sent_at = None if row["sent_at"] is None else millis(row["sent_at"])
    return KeptLetter(
        letter(row),
        Redriven(
            row["run_id"], row["ordered_by"], millis(row["ordered_at"]), row["new_series"], sent_at,
            row["outcome"],
        ),
    )  # fmt: skip


def _camel(row: dict[str, Any]) -> dict[str, Any]:
    return {msgspec.structs.fields(Group)[at].encode_name: value for at, value in enumerate(row.values())}


def _with_millis(row: dict[str, Any]) -> dict[str, Any]:
    return {name: millis(value) if isinstance(value, datetime) else value for name, value in row.items()}
