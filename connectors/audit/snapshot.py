"""One moment of Postgres for an audit: what the sink holds, up to which offsets, and whether that fits.

Everything is read in one REPEATABLE READ transaction, so that rows and offsets are of the same moment: a row
must be there exactly when its record stands before the offset. Nothing is "on its way".
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import psycopg

from connectors.audit.books import MINUTE_MS, Place, Sums
from connectors.audit.parts import Part, slice_sql
from connectors.audit.row_sums import JOBS, LETTERS, TRANSITIONS, RowKey
from connectors.postgres.digests import (
    ENVELOPE_DIGESTED,
    LETTER_DIGESTED,
    MODULUS,
    TRANSITION_DIGESTED,
    digest_sql,
)
from connectors.views import SERIES_STEP
from schemas.errors import UnavailableError
from schemas.states import TERMINAL

_CONNECT_S = 5
_ENDS = ", ".join(f"'{state.value}'" for state in sorted(TERMINAL))
_MINUTE = "floor(extract(epoch from {}) / 60)::bigint"
_ROWS = {
    JOBS: f"select job_id, accepted_at as at, {digest_sql(ENVELOPE_DIGESTED, 'j')} as digest from jobs j"
    " where envelope_series is not null and accepted_at >= %(since)s",
    TRANSITIONS: f"select job_id, accepted_at as at, {digest_sql(TRANSITION_DIGESTED, 't')} as digest"
    " from job_transitions t where accepted_at >= %(since)s",
    LETTERS: f"select letter_id, last_failed_at as at, {digest_sql(LETTER_DIGESTED, 'l')} as digest"
    " from dead_letter_jobs l where last_failed_at >= %(since)s"
    " union all select letter_id, last_failed_at, digest from dead_letter_deletions"
    " where last_failed_at >= %(since)s",
}
# What each job's row must say by its own transitions; the sink's rule, over all of them at once.
_DISAGREEING = f"""
with ranked as (
    select t.*, series * {SERIES_STEP} + case when to_state in ({_ENDS}) then {SERIES_STEP - 1} - number
        else number end as rank
    from job_transitions t where accepted_at >= %(since)s
),
head as (select distinct on (job_id) * from ranked order by job_id, rank desc),
tally as (
    select job_id, series, max(attempt) as attempts, count(*) filter (where to_state in ({_ENDS})) as ends,
        max(at) filter (where to_state = 'active' and (from_state <> 'active' or progress is null))
            as processed_at
    from ranked group by job_id, series
),
told as (
    select coalesce(j.job_id, h.job_id) as job_id, concat_ws(', ',
        case when j.state is distinct from h.to_state then 'state ' || coalesce(j.state, '-')
            || ' instead of ' || coalesce(h.to_state, '-') end,
        case when j.accepted_at is distinct from h.accepted_at then 'accepted_at' end,
        case when home.accepted_at is distinct from h.accepted_at then 'job_homes' end,
        case when j.rank is distinct from h.rank then 'rank' end,
        case when j.series is distinct from h.series then 'series' end,
        case when j.changed_at is distinct from h.at then 'changed_at' end,
        case when j.finished_at is distinct from case when h.to_state in ({_ENDS}) then h.at end
            then 'finished_at' end,
        case when j.result::text is distinct from h.result::text then 'result' end,
        case when j.duplicate_of is distinct from h.duplicate_of then 'duplicate_of' end,
        case when j.attempts is distinct from t.attempts then 'attempts' end,
        case when j.processed_at is distinct from t.processed_at then 'processed_at' end
    ) as what
    from (select * from jobs where accepted_at >= %(since)s) j
    full join head h using (job_id) left join tally t on t.job_id = h.job_id and t.series = h.series
    left join job_homes home on home.job_id = h.job_id
)
select job_id, 'differing', what from told where what <> ''
union all select job_id, 'extra', ends || ' ends in series ' || series from tally where ends > 1
union all select job_id, 'extra', count(*) || ' rows' from jobs where accepted_at >= %(since)s
    group by job_id having count(*) > 1
limit 1000
"""


class Snapshot:
    """A context manager. UnavailableError when Postgres does not answer. Blocks; used by one thread."""

    def __init__(self, database_url: str) -> None:
        try:
            self._connection: psycopg.Connection[Any] = psycopg.connect(
                database_url, connect_timeout=_CONNECT_S, application_name="tierflow-audit"
            )
        except psycopg.Error as error:
            raise _away(error) from error
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True

    def __enter__(self) -> "Snapshot":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def positions(self) -> dict[Place, int]:
        """The next offset of each partition that the sink has begun."""
        rows = self._rows("select topic, partition, next from sink_offsets", {})
        return {(topic, partition): next_ for topic, partition, next_ in rows}

    def sums(self, since: int) -> dict[RowKey, Sums]:
        """Rows and their digests by table and minute."""
        found: dict[RowKey, Sums] = {}
        for table, rows in _ROWS.items():
            minute = _MINUTE.format("at")
            query = f"select {minute}, count(*), sum(digest) from ({rows}) rows group by 1"
            for at, count, digest in self._rows(query, {"since": _moment(since)}):
                found[table, at] = Sums(count, int(digest) % MODULUS)
        return found

    def slices(self, tables: Iterable[str], minutes: Iterable[int]) -> dict[RowKey, Sums]:
        """Rows of some minutes and their digests by table and slice of the id."""
        found: dict[RowKey, Sums] = {}
        for table in tables:
            id_ = "letter_id" if table == LETTERS else "job_id"
            among = f"{_MINUTE.format('at')} = any(%(minutes)s::bigint[])"
            query = f"select {slice_sql(id_)}, count(*), sum(digest) from ({_ROWS[table]}) rows where {among}"
            values = {"since": _moment(0), "minutes": list(minutes)}
            for slice_, count, digest in self._rows(f"{query} group by 1", values):
                found[table, slice_] = Sums(count, int(digest) % MODULUS)
        return found

    def jobs(self, part: Part, ids: Iterable[str] = ()) -> Iterator[tuple[str, int, int]]:
        """Id, series and digest of the envelopes accepted in a part's minutes, or of some ids."""
        yield from self._digests(
            f"select job_id, envelope_series, {digest_sql(ENVELOPE_DIGESTED, 'j')} from jobs j"
            f" where envelope_series is not null and {_among('accepted_at', 'job_id')}", part, ids,
        )  # fmt: skip

    def transitions(self, part: Part, ids: Iterable[str] = ()) -> Iterator[tuple[str, int, int, int]]:
        """Id, series, number and digest of the transitions of jobs, likewise."""
        yield from self._digests(
            f"select job_id, series, number, {digest_sql(TRANSITION_DIGESTED, 't')} from job_transitions t"
            f" where {_among('accepted_at', 'job_id')}", part, ids,
        )  # fmt: skip

    def letters(self, part: Part, ids: Iterable[str] = ()) -> Iterator[tuple[str, int]]:
        """Id and digest of the letters that failed last in a part's minutes, deleted ones included."""
        among = _among("last_failed_at", "letter_id")
        yield from self._digests(
            f"select letter_id, {digest_sql(LETTER_DIGESTED, 'l')} from dead_letter_jobs l where {among}"
            f" union all select letter_id, digest::bigint from dead_letter_deletions where {among}",
            part, ids,
        )  # fmt: skip

    def disagreeing(self, since: int) -> list[tuple[str, str, str]]:
        """Jobs whose row is not what their own transitions say, as id, kind and what; the first thousand."""
        return self._rows(_DISAGREEING, {"since": _moment(since)})

    def _digests(self, query: str, part: Part, ids: Iterable[str]) -> Iterator[Any]:
        slices = None if part.slices is None else list(part.slices)
        values = {"minutes": list(part.buckets), "ids": list(ids), "slices": slices}
        for row in self._rows(query, values):
            yield (*row[:-1], int(row[-1]) % MODULUS)

    def _rows(self, query: str, values: dict[str, Any]) -> list[Any]:
        try:
            return self._connection.execute(cast(Any, query), values).fetchall()
        except psycopg.Error as error:
            raise _away(error) from error


def _among(at: str, key: str) -> str:
    sliced = f"(%(slices)s::int[] is null or {slice_sql(key)} = any(%(slices)s::int[]))"
    return f"({_MINUTE.format(at)} = any(%(minutes)s::bigint[]) and {sliced} or {key} = any(%(ids)s::text[]))"


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // MINUTE_MS * MINUTE_MS / 1000, UTC)


def _away(error: psycopg.Error) -> UnavailableError:
    return UnavailableError(f"Postgres does not answer: {' '.join(str(error).split())}")
