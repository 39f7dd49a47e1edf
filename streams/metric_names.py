"""Every metric of every role, declared once: docs/metrics.md, the dashboards and the rules follow from here.

Base units, `_total` for counters, no ids as labels. Only `failed_jobs_total` breaks the rule: it is a gauge,
under the name that older dashboards know.
"""

from schemas.catalogue import JOB_TYPES, QUEUES
from schemas.limits import GROUPS
from schemas.priorities import Lane
from schemas.states import State
from streams.metric import Kind, Label, Metric

_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

QUEUE = Label("queue_name", "a queue of the catalogue", lambda: QUEUES)
TYPE = Label("job_type", "a job type of the catalogue", lambda: JOB_TYPES)
_STATES = frozenset(state.value for state in State)
STATUS = Label("status", "a state of jobs", lambda: _STATES)
_LANES = frozenset(lane.label for lane in Lane)
LANE = Label("lane", "urgent, normal, bulk", lambda: _LANES)
RESULTS = ("success", "failure", "timeout", "dead", "duplicate", "cancelled")
RESULT = Label("result", ", ".join(RESULTS), lambda: RESULTS)
# Providers have codes of their own: the first hundred.
ERROR = Label("error_class", "a short word, as timeout or card_declined; 100 at most", limit=100)
MOVE = Label("move", "from-state to-state", limit=len(State) ** 2)
GROUP = Label("group", "a provider's limit group", lambda: GROUPS)
CAPS = ("key", "group", "lane", "process")
CAP = Label("cap", ", ".join(CAPS), lambda: CAPS)
TOPIC = Label("topic", "a topic of the topology", limit=100)
PARTITION = Label("partition", "a partition number; 1,000 at most", limit=1_000)
CONSUMER = Label("consumergroup", "a consumer group of ours", limit=50)
TARGET = Label("target", "postgres, redis", lambda: ("postgres", "redis"))
SERVICE = Label("service", "kafka, postgres, redis", lambda: ("kafka", "postgres", "redis"))
ROUTE = Label("route", "a route of the gateway, with its placeholders", limit=100)
METHOD = Label("method", "an HTTP method", limit=10)
HTTP_STATUS = Label("status", "an HTTP status", limit=60)

TIER = Label("tier", "1, 2, 3", lambda: ("1", "2", "3"))
FATES = (
    "came", "completed", "dead", "duplicate", "cancelled", "retry", "pending", "repeated", "missing",
    "refused", "commands",
)  # fmt: skip
FATE = Label("fate", ", ".join(FATES), lambda: FATES)
FINDING = Label("kind", "missing, extra, differing", lambda: ("missing", "extra", "differing"))

_JOB = (QUEUE, TYPE)
_HANDLER_S = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60)
_HTTP_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_COMMIT_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_RECOVERY_S = (0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)
_SINK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROWS = (1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000)

# -- gateway

HTTP_REQUESTS = Metric(
    "http_request_duration_seconds", _H,
    "From a request's arrival to the last byte of its answer.",
    (ROUTE, METHOD, HTTP_STATUS), "seconds", _HTTP_S,
)  # fmt: skip
ACCEPTED = Metric("gateway_accepted_total", _C, "Jobs and events that Kafka acknowledged.", _JOB)
SERVICE_AWAY = Metric(
    "gateway_service_away", _G, "1 while the gateway found a service away when it last asked.", (SERVICE,)
)

# -- router

ROUTED = Metric("routed_records_total", _C, "Records passed on to a topic.", (TOPIC,))
REFUSED = Metric("ingress_dead_letters_total", _C, "Records that are no event and no job.", (TOPIC,))
TOMBSTONES = Metric("ingress_tombstones_total", _C, "Records without a value.", (TOPIC,))

# -- workers

DURATION = Metric(
    "job_processing_duration_seconds", _H, "Time in the handler, by attempt.", _JOB, "seconds", _HANDLER_S
)
WAIT = Metric(
    "job_wait_seconds",
    _H,
    "From acceptance to the start of the handler.",
    (QUEUE, LANE),
    "seconds",
    _HANDLER_S,
)
JOB_RESULTS = Metric(
    "job_results_total",
    _C,
    "Ends of attempts and of jobs; failure and timeout are tried again.",
    (*_JOB, RESULT),
)
DEAD_LETTERS = Metric("dead_letters_total", _C, "Jobs that became dead letters.", (*_JOB, ERROR))
RETRIES = Metric("retries_total", _C, "Attempts that failed and are due again.", _JOB)
DUPLICATES = Metric("duplicates_total", _C, "Jobs answered by an earlier one.", _JOB)
ILLEGAL = Metric("illegal_transitions_total", _C, "Refused changes of state: a defect. Alert.", (MOVE,))
RUNNING = Metric("jobs_running", _G, "Handlers that run now.")
OVERDUE = Metric(
    "handlers_overdue", _G, "Plain functions that go on past their time, or after they were cancelled.", _JOB
)
IN_MEMORY = Metric("jobs_in_memory", _G, "Jobs read and not yet ended or parked.")
CAP_REACHED = Metric(
    "cap_reached_total", _C, "How often a bound of memory or slots was reached; the rest waits.", (CAP,)
)
EXPIRED = Metric("idempotency_keys_expired_total", _C, "Keys removed after their retention.")
HELD = Metric("types_held_total", _C, "Types held because too many of their jobs died. Alert.", _JOB)

# -- limiter

TOKENS = Metric("rate_limit_tokens", _G, "Attempts that could start now, as far as the rate goes.", (GROUP,))
CONCURRENT = Metric(
    "rate_limit_concurrent", _G, "Calls that run or may start at once, on all workers.", (GROUP,)
)
CIRCUIT = Metric("circuit_state", _G, "0 closed, 1 half open, 2 open.", (GROUP,))
RATE_WAIT = Metric(
    "rate_limit_wait_seconds", _H, "How long a job that was ready waited for its group's limit.", (GROUP,),
    "seconds", _HANDLER_S,
)  # fmt: skip
LIMITER_SILENT = Metric(
    "limiter_silent_seconds", _G, "How long jobs have waited for an answer of the limiter.", (GROUP,)
)  # fmt: skip
STOPPED = Metric("rate_limit_stopped", _G, "1 while an operator has stopped the group.", (GROUP,))
LIMIT_REQUESTS = Metric("limit_requests_total", _C, "Requests of workers and operators.", (GROUP,))
TOKENS_GRANTED = Metric("limit_tokens_granted_total", _C, "Calls that were allowed.", (GROUP,))

# -- sink

SINK_ROWS = Metric("sink_batch_rows", _H, "Rows of a batch.", (TARGET,), "", _ROWS)
SINK_COMMIT = Metric(
    "sink_commit_seconds", _H, "How long writing a batch took.", (TARGET,), "seconds", _SINK_S
)
SINK_RECORDS = Metric("sink_records_total", _C, "Records written.", (TARGET,))
SINK_LAG = Metric(
    "sink_lag_records", _G, "Offsets of a partition not written yet, as the sink sees it.",
    (TARGET, TOPIC, PARTITION),
)  # fmt: skip
SINK_LAG_SECONDS = Metric(
    "sink_lag_seconds", _G, "Age of the last written record while others wait.", (TARGET,), "seconds"
)
SINK_AWAY = Metric("sink_target_away", _G, "1 while the target is away.", (TARGET,))
SINK_REFUSED = Metric(
    "sink_batches_refused_total", _C, "Batches dropped: another writer had moved the position.", (TARGET,)
)
SINK_LOST = Metric(
    "sink_lost_offsets_total", _C, "Offsets that the log no longer had when read. Alert.", (TARGET,)
)
SINK_POISON = Metric("sink_poison_records_total", _C, "Records that could not be written.", (TARGET,))
RETENTION_WORKED = Metric(
    "retention_worked_timestamp_seconds", _G, "When retention last did all it had to do.", (), "seconds"
)
RETENTION_DROPPED = Metric("retention_dropped_months_total", _C, "Months of tables dropped.")
RETENTION_DELETED = Metric("retention_deleted_rows_total", _C, "Old rows deleted that stood in no month.")

# -- monitor: the brokers' view, and that of the read models

LAG = Metric(
    "kafka_consumergroup_lag", _G, "Records that a group has not done; markers are no records.",
    (CONSUMER, TOPIC, PARTITION),
)  # fmt: skip
LAG_SECONDS = Metric(
    "kafka_consumergroup_lag_seconds", _G, "Age of the oldest record that a group has not done.",
    (CONSUMER, TOPIC, PARTITION), "seconds",
)  # fmt: skip
STANDING = Metric(
    "kafka_consumergroup_standing_seconds", _G, "How long a position with unread records has not moved.",
    (CONSUMER, TOPIC, PARTITION), "seconds",
)  # fmt: skip
REWINDS = Metric(
    "kafka_consumergroup_rewinds_total", _C, "Positions that went back: records are read again.",
    (CONSUMER, TOPIC),
)  # fmt: skip
LOST = Metric(
    "kafka_consumergroup_lost_offsets", _G, "Offsets that the log dropped before the group had them. Alert.",
    (CONSUMER, TOPIC),
)  # fmt: skip
READ_RATE = Metric(
    "kafka_consumergroup_read_offsets_per_second", _G, "How fast the positions moved in two minutes.",
    (CONSUMER, TOPIC),
)  # fmt: skip
WRITTEN_RATE = Metric(
    "kafka_consumergroup_written_offsets_per_second", _G, "How fast the logs grew in two minutes.",
    (CONSUMER, TOPIC),
)  # fmt: skip
DRAIN = Metric(
    "kafka_consumergroup_drain_seconds", _G, "Until nothing is unread at these rates; +Inf: never.",
    (CONSUMER,), "seconds",
)  # fmt: skip
MEMBERS = Metric("kafka_consumergroup_members", _G, "Processes that are members of a group.", (CONSUMER,))
HIDDEN = Metric(
    "kafka_topic_hidden_offsets", _G, "Offsets behind a transaction that has not ended.", (TOPIC,)
)
QUEUE_DEPTH = Metric("queue_depth", _G, "Jobs of a queue in a state.", (QUEUE, STATUS))
OLDEST_JOB = Metric("oldest_job_age_seconds", _G, "Age of the oldest waiting job.", (QUEUE,), "seconds")
FAILED_JOBS = Metric("failed_jobs_total", _G, "Jobs that are dead now.", (QUEUE,))
ACTIVE_WORKERS = Metric("queue_active_workers", _G, "Worker processes that run a queue's jobs.", (QUEUE,))
SERVICE_UP = Metric("service_up", _G, "1 while a service answers the monitor.", (SERVICE,))
MONITOR_READING = Metric(
    "monitor_reading_seconds", _G, "How long the last look at everything took.", (), "seconds"
)
MONITOR_READ_AT = Metric(
    "monitor_last_reading_timestamp_seconds",
    _G,
    "When the brokers were last asked with success.",
    (),
    "seconds",
)

LEDGER_JOBS = Metric(
    "ledger_jobs", _G, "Jobs since the ledger's start: came = all the others together.", (TIER, FATE)
)
LEDGER_INGRESS = Metric(
    "ledger_ingress_records", _G, "Records on events and job-requests, and what became of them.", (FATE,)
)
LEDGER_FINDINGS = Metric(
    "ledger_findings", _G, "Records found missing, extra or differing, twice in a row. Alert.",
    (FINDING,),
)  # fmt: skip
LEDGER_READING = Metric("ledger_reading_seconds", _G, "How long its last look took.", (), "seconds")
LEDGER_READ_AT = Metric(
    "ledger_last_reading_timestamp_seconds", _G, "When it last looked with success.", (), "seconds"
)

# -- the engine of router, limiter and workers

_E = "tierflow_engine"
TRANSACTIONS = Metric(f"{_E}_transactions_total", _C, "Transactions committed.")
RECORDS = Metric(f"{_E}_records_total", _C, "Source offsets completed by committed transactions.")
ABORTS = Metric(f"{_E}_aborts_total", _C, "Transactions aborted and written again from memory.")
FATALS = Metric(f"{_E}_fatals_total", _C, "Losses of the producer: all state dropped and read again.")
RECOVERIES = Metric(f"{_E}_recoveries_total", _C, "Recoveries of one or more partitions.")
LOST_OFFSETS = Metric(
    f"{_E}_lost_offsets_total", _C, "Source offsets that were gone before they were read. Alert."
)
WENT_BACK = Metric(f"{_E}_offsets_went_back_total", _C, "Group offsets found behind the changelog's. Alert.")
STALLED_FETCHES = Metric(f"{_E}_stalled_fetches_total", _C, "Fetches that stopped before the log's end.")
FAILED_STEPS = Metric(
    f"{_E}_failed_steps_total", _C, "Steps an agent left with an exception; their records stay open."
)
COMMIT = Metric(
    f"{_E}_commit_seconds", _H, "From the begin of a transaction to its commit, repeats included.", (),
    "seconds", _COMMIT_S,
)  # fmt: skip
RECOVERY = Metric(
    f"{_E}_recovery_seconds", _H,
    "From the assignment to the first record of the partitions recovered together.", (),
    "seconds", _RECOVERY_S,
)  # fmt: skip
OPEN_PARTITIONS = Metric(f"{_E}_open_partitions", _G, "Partition numbers open in this process.")
HELD_PARTITIONS = Metric(f"{_E}_held_partitions", _G, "Source partitions held back by the application.")
PAUSED_PARTITIONS = Metric(f"{_E}_paused_partitions", _G, "Source partitions with a full window.")
WINDOW_USED = Metric(f"{_E}_window_used_ratio", _G, "The fullest window of open offsets, 0..1.")
UNSTABLE = Metric(
    f"{_E}_unstable_offsets_seconds", _G,
    "How long a recovery has been waiting for another transaction to end. Alert above 60.", (), "seconds",
)  # fmt: skip

METRICS: tuple[Metric, ...] = tuple(value for value in vars().copy().values() if isinstance(value, Metric))
"""All of them, in the order of this file."""
