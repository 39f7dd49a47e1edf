"""The catalogue says what the specification of the jobs says; this table was typed from the latter."""

import pytest

from schemas.catalogue import JOB_TYPES, QUEUES, find_event, find_queue, find_type
from schemas.errors import UnknownTypeError
from schemas.priorities import NAMES, Lane, lane_of

# queue, tier, type, default priority, timeout (s), limit group, idempotency template, days kept, aliases
SPECIFIED = [
    ("money", 1, "payment-process", 10, 60, "stripe", "payment-{venueId}-{userId}-{eventId}-{amount}", 90),
    ("money", 1, "refund-process", 10, 60, "stripe", "refund-{transactionId}", 90),
    ("money", 1, "payout-process", 10, 60, "stripe", "payout-{venueId}-{bankAccountId}-{amount}-{date}", 90),
    ("money", 1, "nft-mint", 7, 120, "solana", "nft-{eventId}-{seatId|ticketId}", 365),
    ("money", 1, "nft-transfer", 7, 120, "solana", "nft-transfer-{mintAddress}-{toWallet}", 365),
    ("communication", 2, "send-email", 5, 15, "sendgrid", "email-{template}-{to}-{date}", 30),
    ("communication", 2, "send-sms", 5, 15, "twilio", "sms-{to}-{template|hash:message}-{minute}", 30),
    ("communication", 2, "send-push", 5, 15, "push", "push-{userId}-{hash:title+body}-{minute}", 30),
    ("background", 3, "analytics-track", 3, 30, "internal",
     "analytics-{eventType}-{venueId|'global'}-{userId|'anonymous'}-{timestamp}", 7),
    ("background", 3, "cleanup-old-data", 1, 300, "internal", "cleanup-{dataType}-{olderThan}", 7),
    ("background", 3, "generate-report", 3, 300, "internal",
     "report-{reportType}-{venueId}-{startDate}-{endDate}-{format}", 7),
    ("background", 3, "scheduled-task", 3, 30, "internal", "schedule-{scheduleId}-{runAt}", 7),
    ("background", 3, "webhook-deliver", 3, 30, "internal", "webhook-{webhookId}-{eventId}", 7),
    ("robot", 2, "formula_calculation", 5, 30, None, None, None),
    ("robot", 2, "data_fetch", 5, 30, "internal", None, None),
    ("robot", 2, "validation", 5, 30, None, None, None),
    ("agent-tasks", 2, "coding-task", 5, 300, "agent-cli", "{taskId}", 7),
    ("chat_messages", 2, "chat-message", 5, 30, None, None, None),
    ("agent_responses", 2, "agent-response", 6, 30, None, None, None),
    ("proactive_actions", 2, "proactive-action", 7, 30, None, None, None),
    ("stream_chunks", 3, "stream-chunk", 8, 30, None, None, None),
    ("status_updates", 3, "status-update", 5, 30, None, None, None),
    ("validation_requests", 2, "validation-request", 5, 30, None, None, None),
    ("goal_seeking_updates", 3, "goal-seeking-update", 3, 30, None, None, None),
    ("conversation_events", 2, "conversation-event", 5, 30, None, None, None),
]  # fmt: skip
EVENTS = {
    "cell_update": 2, "formula_change": 2, "document_change": 2, "selection_change": 3,
}  # fmt: skip
ALIASES = [
    ("communication", "email-send", "send-email"),
    ("communication", "sms-send", "send-sms"),
    ("background", "analytics-process", "analytics-track"),
    ("background", "cleanup", "cleanup-old-data"),
]


@pytest.mark.parametrize("row", SPECIFIED, ids=lambda row: row[2])
def test_a_type_is_declared_as_specified(row: tuple[object, ...]) -> None:
    queue, tier, kind, priority, timeout_s, group, template, days = row
    found = JOB_TYPES[str(kind)]
    assert (found.queue, found.tier, found.priority) == (queue, tier, priority)
    assert (found.timeout_s, found.limit_group, found.idempotency) == (timeout_s, group, template)
    assert QUEUES[str(queue)].tier == tier
    if days is not None:
        assert found.idempotency_days == days


def test_nothing_else_is_declared() -> None:
    assert set(JOB_TYPES) == {str(row[2]) for row in SPECIFIED} | set(EVENTS)


def test_what_touches_money_or_people_is_checked_in_first() -> None:
    checked_in = {kind for kind, job_type in JOB_TYPES.items() if job_type.check_in}
    outside = {str(row[2]) for row in SPECIFIED if row[0] in ("money", "communication")}
    assert checked_in == outside | {"coding-task"}


def test_where_a_second_effect_cannot_be_undone_and_nobody_deduplicates_a_person_decides() -> None:
    assert {kind for kind, job_type in JOB_TYPES.items() if job_type.on_unknown == "park"} == {
        "nft-mint", "nft-transfer",
    }  # fmt: skip


def test_what_tierflow_makes_itself_cannot_be_submitted() -> None:
    own = {kind for kind, job_type in JOB_TYPES.items() if not job_type.public}
    assert own == {"scheduled-task", "webhook-deliver", *EVENTS}


def test_a_type_without_an_idempotency_rule_is_ordered_by_document_or_conversation() -> None:
    for row in SPECIFIED:
        if row[6] is None:
            expected = "{documentId}" if row[0] == "robot" else "{conversationId|userId}"
            assert JOB_TYPES[str(row[2])].order == expected


@pytest.mark.parametrize(("queue", "alias", "kind"), ALIASES)
def test_an_alias_finds_its_type(queue: str, alias: str, kind: str) -> None:
    assert find_type(queue, alias).kind == kind
    assert find_type(queue, alias.upper().replace("-", "_")).kind == kind


@pytest.mark.parametrize("row", SPECIFIED, ids=lambda row: row[2])
def test_a_type_is_found_in_its_queue_only(row: tuple[object, ...]) -> None:
    assert find_type(str(row[0]), str(row[2])).kind == row[2]
    with pytest.raises(UnknownTypeError, match="known: "):
        find_type("robot" if row[0] != "robot" else "money", str(row[2]))


@pytest.mark.parametrize("name", ["chat_messages", "chat-messages", "Chat_Messages", "chat-messages-queue"])
def test_a_queue_is_found_by_any_of_its_spellings(name: str) -> None:
    assert find_queue(name).name == "chat_messages"


def test_an_unknown_queue_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownTypeError, match="'nope'; known: agent-tasks") as caught:
        find_queue("nope")
    assert [problem.field for problem in caught.value.problems] == ["queue"]


@pytest.mark.parametrize(("kind", "tier"), EVENTS.items())
def test_an_event_is_ordered_by_its_document(kind: str, tier: int) -> None:
    assert (find_event(kind).tier, find_event(kind).order) == (tier, "{documentId}")


@pytest.mark.parametrize("kind", ["nope", "payment-process"])
def test_what_is_no_event_is_refused(kind: str) -> None:
    with pytest.raises(UnknownTypeError, match="known: cell_update"):
        find_event(kind)


def test_priorities_fall_into_lanes() -> None:
    assert NAMES == {"critical": 10, "high": 7, "normal": 5, "low": 3, "background": 1}
    lanes = [lane_of(priority) for priority in range(1, 11)]
    assert lanes == [Lane.BULK] * 3 + [Lane.NORMAL] * 4 + [Lane.URGENT] * 3
    assert [lane.label for lane in Lane] == ["urgent", "normal", "bulk"]
