-- Jobs n from low to high, with their homes and two transitions each.
with made as (
    select n, 'job-' || lpad(to_hex(n), 12, '0') as job_id,
        case when n %% 10 = 0 then 'nft-mint' when n %% 3 = 0 then 'refund-process' else 'payment-process' end
            as type,
        case when n %% 10 = 0 then 365 else 90 end as keep_days,
        %(first)s::timestamptz + n * %(step)s::interval as accepted_at,
        case when n %% 1000 = 1 then 'delayed' when n %% 500 = 2 then 'dead' else 'completed' end as state
    from generate_series(%(low)s::bigint, %(high)s::bigint) n
),
homes as (insert into job_homes select job_id, accepted_at, keep_days from made),
changes as (
    insert into job_transitions (
        job_id, series, number, from_state, to_state, attempt, at, worker, accepted_at, keep_days
    )
    select job_id, 0, number, case number when 0 then '' else 'waiting' end,
        case number when 0 then 'waiting' else state end, number, accepted_at + number * interval '1 second',
        'worker-1', accepted_at, keep_days
    from made, generate_series(0, 1) number
)
insert into jobs (
    job_id, queue, type, tier, accepted_at, document_id, user_id, tenant_id, request_id, envelope_series, data,
    data_hash, priority, max_attempts, timeout_ms, ordering_key, idempotency, idempotency_key, source_topic,
    source_partition, source_offset, rank, series, state, attempts, changed_at, finished_at, keep_days
)
select job_id, 'money', type, 1, accepted_at, 'document-' || n * 7919 %% 200000,
    'user-' || n * 104729 %% 100000, 'tenant-' || n * 15485863 %% 1000, 'request-' || n, 0,
    '{"amount": 1250, "currency": "EUR"}', '\x00', 5, 10, 60000, 'key:' || n, '\x01', 'payment-' || n,
    'job-requests', n %% 12, n, 1, 0, state, 1, accepted_at,
    case when state = 'completed' then accepted_at end, keep_days
from made
