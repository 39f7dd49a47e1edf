-- Jobs, transitions and dead letters by month, so that what is too old is dropped and not deleted.
--
-- Postgres wants the month's column in every unique key, and records of one job may bring several accepted_at (a
-- re-drive, a client's repeat of its job id). So job_homes holds one row per job id: the earliest time that was
-- said, under which all its rows stand. The sink writes it in the same transaction, and moves a job's rows when an
-- earlier time appears. dead_letter_ids does the same for letters.
--
-- Two families, because NFT jobs are kept for a year and the others for 90 days: jobs_90d_2026_11, jobs_365d_2026_11.
-- The sink and `tierflow retention` make months before they are needed; what no month was made for (a clock far
-- off) stands in FAMILY_other and moves into its month when that is made.

create schema tierflow_0002;
drop view critical_jobs;
alter table jobs set schema tierflow_0002;
alter table job_transitions set schema tierflow_0002;
alter table dead_letter_jobs set schema tierflow_0002;

create table job_homes (
    job_id      text        primary key,
    accepted_at timestamptz not null,
    keep_days   smallint    not null
);
comment on table job_homes is 'Under which time each job id stands in jobs and job_transitions: one row per id';

create table dead_letter_ids (
    letter_id      text        primary key,
    last_failed_at timestamptz not null
);
comment on table dead_letter_ids is 'Under which time each letter stands in dead_letter_jobs; stays when a letter is deleted by hand';

create table jobs (
    job_id           text        not null,
    queue            text        not null,
    type             text        not null,
    tier             smallint    not null,
    accepted_at      timestamptz not null,
    document_id      text,
    user_id          text,
    tenant_id        text,
    request_id       text,
    -- The envelope, from the tier topic; null while only transitions are known.
    envelope_series  bigint,
    data             json,
    data_hash        bytea,
    priority         smallint,
    max_attempts     int,
    timeout_ms       bigint,
    not_before       timestamptz,
    ordering_key     text,
    idempotency      bytea,
    idempotency_key  text,
    traceparent      text,
    source_topic     text,
    source_partition int,
    source_offset    bigint,
    -- The state, from the transition of the highest rank.
    rank             bigint      not null,
    series           bigint      not null,
    state            text        not null,
    attempts         int         not null,
    changed_at       timestamptz not null,
    processed_at     timestamptz,
    finished_at      timestamptz,
    progress         int,
    result           json,
    error            json,
    duplicate_of     text,
    keep_days        smallint    not null,
    primary key (job_id, accepted_at, keep_days)
) partition by list (keep_days);
create table jobs_90d partition of jobs for values in (90) partition by range (accepted_at);
create table jobs_365d partition of jobs for values in (365) partition by range (accepted_at);
create table jobs_90d_other partition of jobs_90d default;
create table jobs_365d_other partition of jobs_365d default;
comment on table jobs is 'One row per accepted tier-1 job, by month of acceptance; written by the sink only';
comment on column jobs.rank is 'Orders transitions by how much they decide: the highest gives the state';

create table job_transitions (
    job_id       text        not null,
    series       bigint      not null,
    number       bigint      not null,
    from_state   text        not null,
    to_state     text        not null,
    attempt      int         not null,
    at           timestamptz not null,
    worker       text,
    reason       text,
    due          timestamptz,
    progress     int,
    stage        text,
    message      text,
    result       json,
    error        json,
    duplicate_of text,
    accepted_at  timestamptz not null,
    keep_days    smallint    not null,
    primary key (job_id, series, number, accepted_at, keep_days)
) partition by list (keep_days);
create table job_transitions_90d partition of job_transitions for values in (90) partition by range (accepted_at);
create table job_transitions_365d partition of job_transitions for values in (365) partition by range (accepted_at);
create table job_transitions_90d_other partition of job_transitions_90d default;
create table job_transitions_365d_other partition of job_transitions_365d default;
comment on table job_transitions is 'Every change of state of a tier-1 job, in its job''s month; number 0 is its acceptance';

create table dead_letter_jobs (
    letter_id        text        not null,
    tier             smallint    not null,
    job_id           text,
    series           bigint      not null,
    queue            text,
    type             text,
    data             json,
    document_id      text,
    user_id          text,
    tenant_id        text,
    request_id       text,
    traceparent      text,
    error_class      text        not null,
    message          text        not null,
    fingerprint      text        not null,
    errors           jsonb       not null,
    first_failed_at  timestamptz not null,
    last_failed_at   timestamptz not null,
    source_topic     text        not null,
    source_partition int         not null,
    source_offset    bigint      not null,
    key              bytea,
    value            bytea,
    headers          jsonb       not null,
    primary key (letter_id, last_failed_at)
) partition by range (last_failed_at);
create table dead_letter_jobs_other partition of dead_letter_jobs default;
comment on table dead_letter_jobs is 'Dead letters of all tiers, and records that were no jobs, with their original bytes';

-- Make the month of a family that begins at `month`; false when it is there. What waits in FAMILY_other moves in.
create function make_month(family text, month date) returns boolean language plpgsql as $$
declare
    child  text := family || to_char(month, '"_"YYYY"_"MM');
    ours   text := substring(pg_get_partkeydef(to_regclass(quote_ident(family))::oid) from '\((\w+)\)');
    low    timestamptz := month::timestamp at time zone 'UTC';
    high   timestamptz := (month + interval '1 month')::timestamp at time zone 'UTC';
begin
    if to_regclass(quote_ident(child)) is not null then
        return false;
    end if;
    perform pg_advisory_xact_lock(hashtext('tierflow.make_month'));
    -- A look into the catalogue itself: to_regclass may still answer from before the wait.
    if exists (
        select from pg_inherits join pg_class on pg_class.oid = inhrelid
        where inhparent = to_regclass(quote_ident(family)) and relname = child
    ) then
        return false;
    end if;
    execute format('create table %I (like %I including all)', child, family);
    execute format(
        'with moved as (delete from %I where %I >= %L and %I < %L returning *) insert into %I select * from moved',
        family || '_other', ours, low, ours, high, child
    );
    execute format('alter table %I attach partition %I for values from (%L) to (%L)', family, child, low, high);
    return true;
end
$$;

create index jobs_accepted_at on jobs (accepted_at);
create index jobs_tenant on jobs (tenant_id, accepted_at desc);
create index jobs_user on jobs (user_id, accepted_at desc);
create index jobs_document on jobs (document_id, accepted_at desc) where document_id is not null;
create index jobs_open on jobs (queue, state, accepted_at) where state not in ('completed', 'duplicate', 'cancelled');
create index dead_letter_jobs_latest on dead_letter_jobs (last_failed_at desc, letter_id desc);
create index dead_letter_jobs_tenant on dead_letter_jobs (tenant_id, last_failed_at desc, letter_id desc);
create index dead_letter_jobs_queue on dead_letter_jobs (queue, last_failed_at desc, letter_id desc);
create index dead_letter_jobs_fingerprint on dead_letter_jobs (fingerprint, last_failed_at desc);
create index dead_letter_jobs_job on dead_letter_jobs (job_id) where job_id is not null;

insert into job_homes
select job_id, accepted_at, case when type like 'nft-%' then 365 else 90 end from tierflow_0002.jobs;
insert into dead_letter_ids select letter_id, last_failed_at from tierflow_0002.dead_letter_jobs;

select make_month(family || '_' || keep_days || 'd', month)
from (
    select distinct keep_days, date_trunc('month', accepted_at at time zone 'UTC')::date as month from job_homes
    where accepted_at >= '2020-01-01 00:00+00' and accepted_at < now() + interval '1 year'
) months, (values ('jobs'), ('job_transitions')) families (family);
select make_month('dead_letter_jobs', month)
from (
    select distinct date_trunc('month', last_failed_at at time zone 'UTC')::date as month from dead_letter_ids
    where last_failed_at >= '2020-01-01 00:00+00' and last_failed_at < now() + interval '1 year'
) months;

insert into jobs (job_id, queue, type, tier, accepted_at, document_id, user_id, tenant_id,
    request_id, envelope_series, data, data_hash, priority, max_attempts, timeout_ms, not_before,
    ordering_key, idempotency, idempotency_key, traceparent, source_topic, source_partition, source_offset, rank,
    series, state, attempts, changed_at, processed_at, finished_at, progress, result,
    error, duplicate_of, keep_days)
select old.job_id, old.queue, old.type, old.tier, old.accepted_at, old.document_id, old.user_id, old.tenant_id,
    old.request_id, old.envelope_series, old.data, old.data_hash, old.priority, old.max_attempts, old.timeout_ms, old.not_before,
    old.ordering_key, old.idempotency, old.idempotency_key, old.traceparent, old.source_topic, old.source_partition, old.source_offset, old.rank,
    old.series, old.state, old.attempts, old.changed_at, old.processed_at, old.finished_at, old.progress, old.result,
    old.error, old.duplicate_of, homes.keep_days
from tierflow_0002.jobs old join job_homes homes using (job_id);
insert into job_transitions (job_id, series, number, from_state, to_state, attempt, at, worker,
    reason, due, progress, stage, message, result, error, duplicate_of, accepted_at, keep_days)
select old.job_id, old.series, old.number, old.from_state, old.to_state, old.attempt, old.at, old.worker,
    old.reason, old.due, old.progress, old.stage, old.message, old.result, old.error, old.duplicate_of, homes.accepted_at, homes.keep_days
from tierflow_0002.job_transitions old join job_homes homes using (job_id);
insert into dead_letter_jobs (letter_id, tier, job_id, series, queue, type, data, document_id,
    user_id, tenant_id, request_id, traceparent, error_class, message, fingerprint, errors,
    first_failed_at, last_failed_at, source_topic, source_partition, source_offset, key, value, headers)
select letter_id, tier, job_id, series, queue, type, data, document_id,
    user_id, tenant_id, request_id, traceparent, error_class, message, fingerprint, errors,
    first_failed_at, last_failed_at, source_topic, source_partition, source_offset, key, value, headers from tierflow_0002.dead_letter_jobs;

drop schema tierflow_0002 cascade;

-- Which incarnation of the topic the offsets are those of: in another one they mean other records.
alter table sink_offsets add column topic_id text;
create table sink_offsets_past (
    topic     text        not null,
    partition int         not null,
    next      bigint      not null,
    topic_id  text        not null,
    ended_at  timestamptz not null default now()
);
comment on table sink_offsets_past is 'How far the sink had written incarnations of topics that are gone: a lost cluster, a topic made anew';

create view critical_jobs as
select job_id as id,
       job_id,
       queue,
       queue as queue_name,
       type,
       type as job_type,
       data,
       case state
           when 'waiting' then 'pending'
           when 'delayed' then 'pending'
           when 'blocked' then 'pending'
           when 'active' then 'processing'
           when 'duplicate' then 'completed'
           when 'dead' then 'failed'
           else state
       end as status,
       state,
       priority,
       attempts,
       max_attempts,
       idempotency_key,
       result,
       error ->> 'message' as error_message,
       tenant_id as venue_id,
       user_id,
       accepted_at as created_at,
       changed_at as updated_at,
       processed_at,
       finished_at as completed_at
from jobs
where tier = 1;
comment on view critical_jobs is 'The table of that name of the old ticketing system, for its runbooks';
