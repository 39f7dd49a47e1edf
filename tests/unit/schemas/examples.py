"""Good data for every job type, as JSON would give it: only what is required."""

from typing import Any

UUID = "6b2f6e0e-6a43-4d0c-9a3c-0f8a3c1f7d11"
NOON = "2026-01-31T12:00:00Z"

GOOD: dict[str, dict[str, Any]] = {
    "payment-process": {
        "userId": UUID, "venueId": UUID, "eventId": UUID, "amount": 1250, "paymentMethod": "pm_1",
    },
    "refund-process": {
        "transactionId": UUID, "amount": 1, "reason": "cancelled", "userId": UUID, "venueId": UUID,
    },
    "payout-process": {"venueId": UUID, "amount": 1_000_000, "bankAccountId": "ba_1", "type": "instant"},
    "nft-mint": {"eventId": UUID, "ticketId": UUID, "userId": UUID, "venueId": UUID, "metadata": {}},
    "nft-transfer": {"mintAddress": "m", "fromWallet": "a", "toWallet": "b", "ticketId": UUID},
    "send-email": {"to": "ann@example.com", "template": "welcome"},
    "send-sms": {"to": "+4915112345678", "message": "hi"},
    "send-push": {"userId": UUID, "title": "t", "body": "b"},
    "analytics-track": {"eventType": "view", "timestamp": NOON},
    "cleanup-old-data": {"dataType": "sessions", "olderThan": NOON},
    "generate-report": {
        "reportType": "sales", "startDate": "2026-01-01", "endDate": "2026-01-31", "format": "pdf",
    },
    "scheduled-task": {"scheduleId": "s", "runAt": NOON},
    "webhook-deliver": {"webhookId": UUID, "eventId": "e", "payload": {}},
    "formula_calculation": {"documentId": "d", "userId": "u", "cellId": "A1", "formula": "=1"},
    "data_fetch": {
        "documentId": "d", "userId": "u", "source": "api", "endpoint": "https://x", "targetCells": ["A1"],
    },
    "validation": {"documentId": "d", "userId": "u", "cellIds": ["A1"], "rules": [{"type": "required"}]},
    "coding-task": {"taskId": UUID, "prompt": "do it", "userId": "u"},
    "chat-message": {"userId": "u", "conversationId": "c", "message": "hi"},
    "proactive-action": {"userId": "u", "actionType": "a", "agentType": "b", "message": "m"},
    "cell_update": {"cellId": "A1", "newValue": 1},
    "formula_change": {"cellId": "A1", "formula": "=1"},
    "document_change": {},
    "selection_change": {},
    **{
        kind: {"conversationId": "c"}
        for kind in (
            "agent-response", "stream-chunk", "status-update", "validation-request", "goal-seeking-update",
            "conversation-event",
        )
    },
}  # fmt: skip
