-- Dead letters n from low to high.
with made as (
    select n, 'letter-' || n as letter_id, %(first)s::timestamptz + n * %(step)s::interval as at
    from generate_series(%(low)s::bigint, %(high)s::bigint) n
),
ids as (insert into dead_letter_ids select letter_id, at from made)
insert into dead_letter_jobs (
    letter_id, tier, job_id, series, queue, type, tenant_id, error_class, message, fingerprint, errors,
    first_failed_at, last_failed_at, source_topic, source_partition, source_offset, value, headers
)
select letter_id, 1 + n %% 3, 'job-' || lpad(to_hex(n * 100), 12, '0'), 0,
    case n %% 3 when 0 then 'money' when 1 then 'communication' else 'background' end, 'payment-process',
    'tenant-' || n * 15485863 %% 1000, 'timeout', 'no answer', 'fingerprint-' || n %% 400, '[]', at, at, 'dlq',
    0, n, '\x00', '{}'
from made
