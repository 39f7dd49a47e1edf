"""Every job type, declared once: routing, validation, retries, limits, keys and docs derive from it.

A table that is the process's own: the product's types stand here, a job author's join them at start
(`declare`), before anything reads them.
"""

from schemas.errors import ConfigError, UnknownTypeError
from schemas.job_type import JobType as JobType  # noqa: PLC0414
from schemas.job_type import Queue as Queue  # noqa: PLC0414
from schemas.job_type import check
from schemas.payloads import agent_tasks, background, communication, events, messages, money, robot
from schemas.payloads.contract import Contract
from schemas.retry import RetryPolicy
from schemas.tiers import POLICIES, Tier

DAY_S = 24 * 3600


DOCUMENT, CONVERSATION = "{documentId}", "{conversationId|userId}"
EVENTS_QUEUE, SELECTIONS_QUEUE = "events", "selections"
_ROBOT_RETRY = RetryPolicy("exponential", attempts=3, delay_ms=1_000, max_delay_ms=60_000)
_AGENT_RETRY = RetryPolicy("exponential", attempts=3, delay_ms=2_000, max_delay_ms=60_000)
_MESSAGE_RETRY = RetryPolicy("exponential", attempts=3, delay_ms=1_000, max_delay_ms=30_000, jitter=False)

QUEUES = {
    queue.name: queue
    for queue in (
        Queue("money", Tier.CRITICAL),
        Queue("communication", Tier.IMPORTANT),
        Queue("robot", Tier.IMPORTANT),
        Queue("agent-tasks", Tier.IMPORTANT, ("claude-code-tasks",)),
        Queue("background", Tier.EPHEMERAL),
        Queue("chat_messages", Tier.IMPORTANT),
        Queue("agent_responses", Tier.IMPORTANT),
        Queue("proactive_actions", Tier.IMPORTANT),
        Queue("stream_chunks", Tier.EPHEMERAL),
        Queue("status_updates", Tier.EPHEMERAL),
        Queue("validation_requests", Tier.IMPORTANT),
        Queue("goal_seeking_updates", Tier.EPHEMERAL),
        Queue("conversation_events", Tier.IMPORTANT),
        # The editor's events: jobs of their own queues, so that they are counted and replayed like any other.
        Queue(EVENTS_QUEUE, Tier.IMPORTANT),
        Queue(SELECTIONS_QUEUE, Tier.EPHEMERAL),
    )
}


def _money(kind: str, contract: type[Contract], key: str, *, group: str, nft: bool = False) -> JobType:
    return JobType(
        kind, "money", Tier.CRITICAL, contract, 7 if nft else 10, 120 if nft else 60,
        POLICIES[Tier.CRITICAL].retry, group, key, 365 if nft else 90, check_in=True,
        # Stripe deduplicates. A chain does not: a token minted twice cannot be taken back.
        on_unknown="park" if nft else "retry",
    )  # fmt: skip


# Nobody deduplicates a message, yet one that may be missing is worse than one that comes twice.
def _communication(kind: str, contract: type[Contract], group: str, key: str, *aliases: str) -> JobType:
    return JobType(
        kind, "communication", Tier.IMPORTANT, contract, 5, 15, POLICIES[Tier.IMPORTANT].retry,
        group, key, 30, check_in=True, aliases=aliases,
    )  # fmt: skip


def _background(
    kind: str, contract: type[Contract], key: str, *aliases: str,
    priority: int = 3, timeout_s: float = 30, days: int = 7, public: bool = True,
) -> JobType:  # fmt: skip
    return JobType(
        kind, "background", Tier.EPHEMERAL, contract, priority, timeout_s, POLICIES[Tier.EPHEMERAL].retry,
        "internal", key, days, public=public, aliases=aliases,
    )  # fmt: skip


def _robot(kind: str, contract: type[Contract], group: str | None = None) -> JobType:
    return JobType(
        kind, "robot", Tier.IMPORTANT, contract, 5, 30, _ROBOT_RETRY, group, order=DOCUMENT
    )  # fmt: skip


def _message(queue: str, kind: str, contract: type[Contract], priority: int) -> JobType:
    return JobType(
        kind, queue, QUEUES[queue].tier, contract, priority, 30, _MESSAGE_RETRY, order=CONVERSATION
    )  # fmt: skip


def _event(kind: str, contract: type[Contract], queue: str = EVENTS_QUEUE) -> JobType:
    retry = POLICIES[QUEUES[queue].tier].retry
    return JobType(
        kind, queue, QUEUES[queue].tier, contract, 5, 30, retry, order=DOCUMENT, public=False
    )  # fmt: skip


_TYPES = (
    _money(
        "payment-process", money.PaymentProcess, "payment-{venueId}-{userId}-{eventId}-{amount}",
        group="stripe",
    ),
    _money("refund-process", money.RefundProcess, "refund-{transactionId}", group="stripe"),
    _money(
        "payout-process", money.PayoutProcess, "payout-{venueId}-{bankAccountId}-{amount}-{date}",
        group="stripe",
    ),
    _money("nft-mint", money.NftMint, "nft-{eventId}-{seatId|ticketId}", group="solana", nft=True),
    _money(
        "nft-transfer", money.NftTransfer, "nft-transfer-{mintAddress}-{toWallet}", group="solana", nft=True
    ),
    _communication(
        "send-email", communication.SendEmail, "sendgrid", "email-{template}-{to}-{date}", "email-send"
    ),
    _communication(
        "send-sms", communication.SendSms, "twilio", "sms-{to}-{template|hash:message}-{minute}", "sms-send"
    ),
    _communication("send-push", communication.SendPush, "push", "push-{userId}-{hash:title+body}-{minute}"),
    _background(
        "analytics-track", background.AnalyticsTrack,
        "analytics-{eventType}-{venueId|'global'}-{userId|'anonymous'}-{timestamp}", "analytics-process",
    ),
    _background(
        "cleanup-old-data", background.CleanupOldData, "cleanup-{dataType}-{olderThan}", "cleanup",
        priority=1, timeout_s=300,
    ),
    _background(
        "generate-report", background.GenerateReport,
        "report-{reportType}-{venueId}-{startDate}-{endDate}-{format}", timeout_s=300,
    ),
    _background("scheduled-task", background.ScheduledTask, "schedule-{scheduleId}-{runAt}", public=False),
    _background("webhook-deliver", background.WebhookDeliver, "webhook-{webhookId}-{eventId}", public=False),
    _robot("formula_calculation", robot.FormulaCalculation),
    _robot("data_fetch", robot.DataFetch, "internal"),
    _robot("validation", robot.Validation),
    JobType(
        "coding-task", "agent-tasks", Tier.IMPORTANT, agent_tasks.CodingTask, 5, 300, _AGENT_RETRY,
        "agent-cli", "{taskId}", check_in=True,
    ),
    _message("chat_messages", "chat-message", messages.ChatMessage, 5),
    _message("agent_responses", "agent-response", messages.Message, 6),
    _message("proactive_actions", "proactive-action", messages.ProactiveAction, 7),
    _message("stream_chunks", "stream-chunk", messages.Message, 8),
    _message("status_updates", "status-update", messages.Message, 5),
    _message("validation_requests", "validation-request", messages.Message, 5),
    _message("goal_seeking_updates", "goal-seeking-update", messages.Message, 3),
    _message("conversation_events", "conversation-event", messages.Message, 5),
    _event("cell_update", events.CellUpdate),
    _event("formula_change", events.FormulaChange),
    _event("document_change", events.AnyChange),
    _event("selection_change", events.AnyChange, SELECTIONS_QUEUE),
)  # fmt: skip

JOB_TYPES = {job_type.kind: job_type for job_type in _TYPES}


def _fold(name: str) -> str:
    return name.replace("_", "-").lower()


_BY_ALIAS = {_fold(name): t.kind for t in _TYPES for name in (t.kind, *t.aliases)}
_QUEUE_BY_ALIAS = {_fold(name): q.name for q in QUEUES.values() for name in (q.name, *q.aliases)}


def declare(job_type: JobType) -> None:
    """Add a type, and its queue when that is new; once more is nothing.

    ConfigError when it does not hold, or when one of its names is another's already.
    """
    if JOB_TYPES.get(job_type.kind) == job_type:
        return
    check(job_type)
    queue = QUEUES.get(job_type.queue) or job_type.home
    if queue is None or job_type.home not in (None, queue):
        said = "unknown: give a Queue of your own" if queue is None else f"declared otherwise: {queue}"
        raise ConfigError(f"job type {job_type.kind!r}: queue {job_type.queue!r} is {said}")
    if job_type.tier is not queue.tier:
        raise ConfigError(f"job type {job_type.kind!r}: queue {queue.name!r} lives in tier {queue.tier}")
    _claim("kind", _BY_ALIAS, job_type.kind, job_type.aliases)
    if queue.name not in QUEUES:
        _claim("queue", _QUEUE_BY_ALIAS, queue.name, queue.aliases)
        _QUEUE_BY_ALIAS.update({_fold(name): queue.name for name in (queue.name, *queue.aliases)})
        QUEUES[queue.name] = queue
    _BY_ALIAS.update({_fold(name): job_type.kind for name in (job_type.kind, *job_type.aliases)})
    JOB_TYPES[job_type.kind] = job_type


def _claim(what: str, taken: dict[str, str], name: str, aliases: tuple[str, ...]) -> None:
    for each in (name, *aliases):
        owner = taken.get(_fold(each))
        if owner is not None:
            raise ConfigError(
                f"{what} {each!r} is declared twice (`-` and `_` are the same): by {owner!r}, too"
            )


def find_queue(name: str) -> Queue:
    """The queue of a name or alias; `X-queue` is X, and `-` and `_` are the same."""
    folded = _fold(name)
    known = _QUEUE_BY_ALIAS.get(folded) or _QUEUE_BY_ALIAS.get(folded.removesuffix("-queue"))
    if known is None:
        raise UnknownTypeError.of("queue", f"unknown queue {name!r}; known: {', '.join(sorted(QUEUES))}")
    return QUEUES[known]


def find_kind(kind: str) -> JobType:
    """The job type of a kind or alias, whatever its queue."""
    job_type = JOB_TYPES.get(_BY_ALIAS.get(_fold(kind), ""))
    if job_type is None:
        raise UnknownTypeError.of("type", f"unknown type {kind!r}; known: {', '.join(sorted(JOB_TYPES))}")
    return job_type


def find_type(queue: str, kind: str) -> JobType:
    """The job type of a kind or alias within a queue."""
    exact = JOB_TYPES.get(kind)
    if exact is not None and exact.queue == queue:
        return exact
    found = find_queue(queue)
    job_type = JOB_TYPES.get(_BY_ALIAS.get(_fold(kind), ""))
    if job_type is None or job_type.queue != found.name:
        known = ", ".join(t.kind for t in JOB_TYPES.values() if t.queue == found.name)
        raise UnknownTypeError.of("type", f"unknown type {kind!r} in queue {found.name!r}; known: {known}")
    return job_type


def find_event(kind: str) -> JobType:
    """The type of a frontend event."""
    job_type = JOB_TYPES.get(kind)
    if job_type is None or job_type.queue not in (EVENTS_QUEUE, SELECTIONS_QUEUE):
        known = ", ".join(t.kind for t in _TYPES if t.queue in (EVENTS_QUEUE, SELECTIONS_QUEUE))
        raise UnknownTypeError.of("type", f"unknown event type {kind!r}; known: {known}")
    return job_type
