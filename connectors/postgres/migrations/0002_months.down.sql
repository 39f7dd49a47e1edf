create schema tierflow_0002;
drop view critical_jobs;
alter table jobs set schema tierflow_0002;
alter table job_transitions set schema tierflow_0002;
alter table dead_letter_jobs set schema tierflow_0002;

create table jobs (
    job_id           text        primary key,
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
    duplicate_of     text
);
comment on table jobs is 'One row per accepted tier-1 job; written by the sink only';
comment on column jobs.rank is 'Orders transitions by how much they decide: the highest gives the state';

create index jobs_accepted_at on jobs (accepted_at);
create index jobs_tenant on jobs (tenant_id, accepted_at desc);
create index jobs_user on jobs (user_id, accepted_at desc);
create index jobs_document on jobs (document_id, accepted_at desc) where document_id is not null;
create index jobs_open on jobs (queue, state, accepted_at) where state not in ('completed', 'duplicate', 'cancelled');

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
    primary key (job_id, series, number)
);
comment on table job_transitions is 'Every change of state of a tier-1 job; number 0 is its acceptance';

create table dead_letter_jobs (
    letter_id        text        primary key,
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
    headers          jsonb       not null
);
comment on table dead_letter_jobs is 'Dead letters of all tiers, and records that were no jobs, with their original bytes';

create index dead_letter_jobs_latest on dead_letter_jobs (last_failed_at desc, letter_id desc);
create index dead_letter_jobs_tenant on dead_letter_jobs (tenant_id, last_failed_at desc, letter_id desc);
create index dead_letter_jobs_queue on dead_letter_jobs (queue, last_failed_at desc, letter_id desc);
create index dead_letter_jobs_fingerprint on dead_letter_jobs (fingerprint, last_failed_at desc);
create index dead_letter_jobs_job on dead_letter_jobs (job_id) where job_id is not null;


insert into jobs
select job_id, queue, type, tier, accepted_at, document_id, user_id, tenant_id,
    request_id, envelope_series, data, data_hash, priority, max_attempts, timeout_ms, not_before,
    ordering_key, idempotency, idempotency_key, traceparent, source_topic, source_partition, source_offset, rank,
    series, state, attempts, changed_at, processed_at, finished_at, progress, result,
    error, duplicate_of
from tierflow_0002.jobs;
insert into job_transitions
select job_id, series, number, from_state, to_state, attempt, at, worker,
    reason, due, progress, stage, message, result, error, duplicate_of
from tierflow_0002.job_transitions;
insert into dead_letter_jobs
select letter_id, tier, job_id, series, queue, type, data, document_id,
    user_id, tenant_id, request_id, traceparent, error_class, message, fingerprint, errors,
    first_failed_at, last_failed_at, source_topic, source_partition, source_offset, key, value, headers
from tierflow_0002.dead_letter_jobs;

-- A partition does not go along with its parent into another schema.
drop table tierflow_0002.jobs, tierflow_0002.job_transitions, tierflow_0002.dead_letter_jobs cascade;
drop schema tierflow_0002;
drop table job_homes, dead_letter_ids, sink_offsets_past;
drop function make_month;
alter table sink_offsets drop column topic_id;

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
