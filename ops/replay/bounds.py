"""Where a replay begins and ends, as a person says it: an offset, a time, or how long ago."""

import re
import time
from datetime import UTC, datetime

import click

from connectors.kafka.reading import EDGE, Bound

_AGO = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class BoundType(click.ParamType):
    """`1200` (an offset), `2026-11-22T10:00:00Z`, `2026-11-22` or `90m` (ago)."""

    name = "WHERE"

    def convert(self, value: str | Bound, param: click.Parameter | None, ctx: click.Context | None) -> Bound:
        """The bound that a text names."""
        if isinstance(value, Bound):
            return value
        if value in ("start", "end"):
            return EDGE
        if value.isdigit():
            return Bound(offset=int(value))
        if ago := _AGO.fullmatch(value):
            return Bound(at=round((time.time() - int(ago[1]) * _SECONDS[ago[2]]) * 1000))
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no offset, no ISO time and no time ago such as 90m or 7d", param, ctx)
        return Bound(at=round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000))
