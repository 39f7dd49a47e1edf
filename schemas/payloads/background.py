"""Queue `background`: analytics, cleaning up, reports, scheduled tasks, webhook deliveries."""

from typing import Any, Literal
from uuid import UUID

from schemas.payloads.contract import Contract, Day, Moment, Name


class AnalyticsTrack(Contract):
    """Something a user did, for the figures."""

    event_type: Name
    timestamp: Moment
    venue_id: UUID | None = None
    user_id: UUID | None = None
    event_id: UUID | None = None
    target_id: Name | None = None
    data: dict[str, Any] = {}


class CleanupOldData(Contract):
    """Delete what the retention rules say."""

    data_type: Literal["sessions", "temp_files", "old_logs"]
    older_than: Moment


class GenerateReport(Contract):
    """A report over a span of days."""

    report_type: Name
    start_date: Day
    end_date: Day
    format: Literal["pdf", "csv", "json"]
    venue_id: UUID | None = None


class ScheduledTask(Contract):
    """The run of a schedule."""

    schedule_id: Name
    run_at: Moment


class WebhookDeliver(Contract):
    """One delivery of one webhook event."""

    webhook_id: UUID
    event_id: Name
    payload: dict[str, Any]
