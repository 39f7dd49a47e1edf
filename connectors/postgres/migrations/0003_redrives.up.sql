-- Dead letters by hand: what was re-driven by whom, and what was deleted. Written by people's orders, not by
-- the sink: a rebuild of the sink's tables leaves these alone, and they refer to letters by id only.

create table redrive_runs (
    run_id      text        primary key,
    ordered_by  text        not null,
    ordered_at  timestamptz not null default now(),
    -- Whose letters the caller may touch; null: every tenant's.
    tenants     text[],
    asked       jsonb       not null,
    edit        json        not null,
    rate        double precision,
    stages      int[]       not null,
    tolerated   double precision not null,
    patience_s  double precision not null,
    total       int         not null default 0,
    state       text        not null,
    reason      text,
    -- One process works on a run at a time; another may take it over when the lease has run out.
    holder      text,
    leased_until timestamptz,
    finished_at timestamptz
);
comment on table redrive_runs is 'Orders to re-drive dead letters, and how far each is';
create index redrive_runs_latest on redrive_runs (ordered_at desc);

create table dead_letter_redrives (
    letter_id text        primary key,
    run_id    text        not null references redrive_runs,
    place     int         not null,
    state     text        not null,
    job_id    text,
    series    bigint,
    sent_at   timestamptz,
    outcome   text,
    problem   text
);
comment on table dead_letter_redrives is 'One row per letter that was chosen for a re-drive: no letter is re-driven twice';
create index dead_letter_redrives_run on dead_letter_redrives (run_id, state, place);

create table dead_letter_deletions (
    letter_id      text        primary key,
    last_failed_at timestamptz not null,
    -- What `tierflow audit` counts instead of the row.
    digest         numeric     not null,
    source_topic   text        not null,
    deleted_by     text        not null,
    deleted_at     timestamptz not null default now()
);
comment on table dead_letter_deletions is 'Letters that a person deleted; the topic keeps them for its retention';
