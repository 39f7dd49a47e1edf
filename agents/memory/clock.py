"""A clock that goes only when it is told to."""

from datetime import datetime, timedelta

from streams.core.ports import Time


class Clock:
    """Wall and steady time, which pass together."""

    def __init__(self, start: datetime) -> None:
        self._wall, self._steady = round(start.timestamp() * 1000), 1_000.0

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self._wall

    def present(self) -> Time:
        """The time as the core wants it."""
        return Time(self._wall, self._steady)

    def advance(self, span: timedelta) -> None:
        """Time goes by."""
        ms = round(span.total_seconds() * 1000)
        self._wall += ms
        self._steady += ms / 1000
