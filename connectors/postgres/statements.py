"""The sink's SQL: staging tables, and how staged rows become jobs, transitions and dead letters.

Rows come once more after a crash of a writer that did not move its offsets, after a rewind and in a rebuild.
So only transitions that were not there yet ("fresh") may change a job's state, and only upwards in rank.

Where a job's rows stand among the months is said by its row in job_homes, which is found or made first.
"""

from connectors.postgres.rows import ENVELOPE, LETTER, SUBJECT, TIMES, TRANSITION
from connectors.views import SERIES_STEP
from schemas.states import TERMINAL

_TYPES = {
    **dict.fromkeys(
        (
            "accepted_at", "not_before", "at", "due", "first_failed_at", "last_failed_at", "envelope_series",
            "series", "number", "timeout_ms", "source_offset",
        ),
        "bigint",
    ),
    **dict.fromkeys(("tier", "priority", "keep_days"), "smallint"),
    **dict.fromkeys(("attempt", "max_attempts", "progress", "source_partition"), "int"),
    **dict.fromkeys(("data_hash", "idempotency", "key", "value"), "bytea"),
    **dict.fromkeys(("data", "result", "error"), "json"),
    **dict.fromkeys(("errors", "headers"), "jsonb"),
}  # fmt: skip
STAGED = {
    "staged_jobs": (*SUBJECT, *ENVELOPE, "keep_days"),
    "staged_transitions": TRANSITION,
    "staged_letters": LETTER,
}
STATE = (
    "rank", "series", "state", "attempts", "changed_at", "processed_at", "finished_at", "result", "error",
    "duplicate_of",
)  # fmt: skip
_TERMINAL = ", ".join(f"'{state.value}'" for state in sorted(TERMINAL))


def _columns(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _values(names: tuple[str, ...], table: str) -> str:
    """Times are staged as milliseconds."""
    return ", ".join(
        f"to_timestamp({table}.{name} / 1000.0)" if name in TIMES else f"{table}.{name}" for name in names
    )


CREATE_STAGING = "; ".join(
    f"create temporary table if not exists {table} ("
    + ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in names)
    + ") on commit delete rows"
    for table, names in STAGED.items()
)

CLEAR_STAGING = "; ".join(f"delete from {table}" for table in STAGED)

COPY = {table: f"copy {table} ({_columns(names)}) from stdin" for table, names in STAGED.items()}

_ACCEPTED_AT = "to_timestamp(staged.accepted_at / 1000.0)"

MAKE_MONTHS = "select make_month(family, month) from unnest(%s::text[], %s::date[]) as months (family, month)"

FIND_HOMES = f"""
insert into job_homes (job_id, accepted_at, keep_days)
select job_id, {_ACCEPTED_AT}, keep_days from staged_jobs staged order by job_id
on conflict (job_id) do nothing
"""

# By the index, whatever the planner thinks of it: it would rather read all of a table of up to a million rows
# than look for some thousands.
_STAGED_HOMES = """
staged_jobs staged cross join lateral (
    select accepted_at, keep_days from job_homes where job_id = staged.job_id limit 1
) home
"""
_MOVES = f"{_ACCEPTED_AT} < home.accepted_at or staged.keep_days > home.keep_days"

# A record with an earlier time than all before: rare, so only looked for here.
FIND_MOVED = f"select staged.job_id from {_STAGED_HOMES} where {_MOVES}"
# A writer that has read a job's home before would write its rows under it once more.
# Not for long: who waits for a vacuum or a retention lets nobody else write meanwhile. Tried again later.
LOCK_HOMES = """
set local lock_timeout = '3s';
lock table job_homes in share row exclusive mode;
set local lock_timeout = 0
"""
FIND_MOVES = f"""
select home.job_id, home.accepted_at, home.keep_days, least(home.accepted_at, {_ACCEPTED_AT}) as accepted,
    greatest(home.keep_days, staged.keep_days) as keep
from staged_jobs staged join job_homes home on home.job_id = staged.job_id
where home.job_id = any(%s) and ({_MOVES})
order by home.job_id for update of home
"""

MOVES = tuple(
    f"update {table} set accepted_at = %(accepted)s, keep_days = %(keep)s"
    " where job_id = %(job_id)s and accepted_at = %(accepted_at)s and keep_days = %(keep_days)s"
    for table in ("job_homes", "jobs", "job_transitions")
)

_MERGED = {
    **{
        name: f"coalesce(jobs.{name}, excluded.{name})"
        for name in ("document_id", "user_id", "tenant_id", "request_id")
    },
    **{
        name: f"case when excluded.envelope_series > coalesce(jobs.envelope_series, -1) "
        f"then excluded.{name} else jobs.{name} end"
        for name in ENVELOPE
    },
    **{
        name: f"case when excluded.rank > jobs.rank then excluded.{name} else jobs.{name} end"
        for name in ("rank", "series", "state", "changed_at", "finished_at", "result", "duplicate_of")
    },
    **{
        name: f"case when excluded.series > jobs.series then excluded.{name} "
        f"when excluded.series = jobs.series then {same} else jobs.{name} end"
        for name, same in {
            "attempts": "greatest(jobs.attempts, excluded.attempts)",
            "processed_at": "greatest(jobs.processed_at, excluded.processed_at)",
            "error": "case when excluded.rank < jobs.rank then jobs.error "
            "when excluded.state = 'completed' then null else coalesce(excluded.error, jobs.error) end",
        }.items()
    },
}

_STAGED_JOB = tuple(name for name in SUBJECT + ENVELOPE if name != "accepted_at")
_JOB = _STAGED_JOB + STATE

WRITE_JOBS = f"""
with home as materialized (
    select staged.job_id, home.accepted_at, home.keep_days from {_STAGED_HOMES}
),
fresh as (
    insert into job_transitions ({_columns(TRANSITION)}, accepted_at, keep_days)
    select {_values(TRANSITION, "staged")}, home.accepted_at, home.keep_days
    from staged_transitions staged join home on home.job_id = staged.job_id
    order by staged.job_id, staged.series, staged.number
    on conflict (job_id, series, number, accepted_at, keep_days) do nothing
    returning *
),
ranked as (
    select fresh.*, series * {SERIES_STEP}
        + case when to_state in ({_TERMINAL}) then {SERIES_STEP - 1} - number else number end as rank
    from fresh
),
head as (select distinct on (job_id) * from ranked order by job_id, rank desc),
tally as (
    select job_id, series, max(attempt) as attempts,
        max(at) filter (where to_state = 'active' and (from_state <> 'active' or progress is null))
            as processed_at,
        (array_agg(error order by number desc) filter (where error is not null))[1] as error
    from fresh group by job_id, series
)
insert into jobs ({_columns(_JOB)}, accepted_at, keep_days)
select {_values(_STAGED_JOB, "staged")},
    coalesce(head.rank, -1), coalesce(head.series, 0), coalesce(head.to_state, 'waiting'),
    coalesce(tally.attempts, 0), coalesce(head.at, to_timestamp(staged.accepted_at / 1000.0)),
    tally.processed_at, case when head.to_state in ({_TERMINAL}) then head.at end,
    head.result, case when head.to_state <> 'completed' then tally.error end, head.duplicate_of,
    home.accepted_at, home.keep_days
from staged_jobs staged
join home on home.job_id = staged.job_id
left join head on head.job_id = staged.job_id
left join tally on tally.job_id = staged.job_id and tally.series = head.series
order by staged.job_id
on conflict (job_id, accepted_at, keep_days)
do update set {", ".join(f"{name} = {value}" for name, value in _MERGED.items())}
"""

WRITE_LETTERS = f"""
with fresh as (
    insert into dead_letter_ids (letter_id, last_failed_at)
    select letter_id, to_timestamp(last_failed_at / 1000.0) from staged_letters order by letter_id
    on conflict (letter_id) do nothing
    returning letter_id
)
insert into dead_letter_jobs ({_columns(LETTER)})
select {_values(LETTER, "staged")} from staged_letters staged join fresh on fresh.letter_id = staged.letter_id
"""

FIND_OFFSETS = """
with asked as (select * from unnest(%s::text[], %s::int[]) as asked (topic, partition)),
added as (
    insert into sink_offsets (topic, partition, next) select topic, partition, 0 from asked
    on conflict do nothing
)
select topic, partition, next from sink_offsets join asked using (topic, partition)
"""

# Rows of before ids were kept, and new ones, are those of this incarnation.
ADOPT_OFFSETS = """
update sink_offsets set topic_id = known.id
from unnest(%(topics)s::text[], %(ids)s::text[]) as known (topic, id)
where known.topic = sink_offsets.topic and topic_id is null
"""

# Offsets of another incarnation of a topic are put aside.
RENEW_OFFSETS = """
with known as (select * from unnest(%(topics)s::text[], %(ids)s::text[]) as known (topic, id)),
past as (
    insert into sink_offsets_past (topic, partition, next, topic_id)
    select topic, partition, next, topic_id from sink_offsets join known using (topic)
    where topic_id <> id and next > 0
)
update sink_offsets set topic_id = known.id, next = 0
from known where known.topic = sink_offsets.topic and topic_id <> known.id
returning sink_offsets.topic, partition
"""

MOVE_OFFSETS = """
update sink_offsets set next = move.next
from unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[]) as move (topic, partition, expected, next)
where sink_offsets.topic = move.topic and sink_offsets.partition = move.partition
    and sink_offsets.next = move.expected
"""
