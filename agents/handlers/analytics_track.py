"""`analytics-track`: keeps what a user did, for the figures."""

from typing import Any

from agents.context import Context
from agents.handlers.registry import handles
from agents.spreadsheet.edits import accepted
from schemas.payloads.background import AnalyticsTrack


@handles("analytics-track")
async def analytics_track(ctx: Context, data: AnalyticsTrack) -> dict[str, Any]:
    """The event as it was recorded.

    The record itself is the store: the event stands, checked and once per key, on the tier-3 topics for their
    retention, where whoever computes figures reads it. No other place is written, and no provider is called.
    """
    return {"eventType": data.event_type, "recordedAt": accepted(ctx).isoformat()}
