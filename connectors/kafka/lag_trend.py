"""Whether a group moves, stands or went back, and when it will be through, from successive readings; pure."""

import math
from collections import deque
from dataclasses import dataclass, field

from connectors.kafka.lag import PartitionLag, Place, State

WINDOW_S = 120.0
"""Rates are those of the last two minutes."""
STALLED_S = 60.0
"""A commit comes every 50 ms, a job that runs longer than a second makes room: a minute is a defect."""
REWOUND_S = 300.0
"""How long a step back is shown."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How a group does at a partition. Rates are offsets a second; `drain_s` is inf when it falls behind."""

    state: State
    read_rate: float = 0.0
    written_rate: float = 0.0
    drain_s: float = 0.0
    standing_s: float = 0.0
    rewinds: int = 0


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    position: int
    end: int


@dataclass(slots=True)
class _Track:
    moved_at: float
    kept_in: str
    samples: deque[_Sample] = field(default_factory=deque)
    rewound_at: float = -math.inf
    rewinds: int = 0


class Trends:
    """Remembers a window of readings per group and partition. Times are monotonic seconds."""

    def __init__(self, window_s: float = WINDOW_S, stalled_s: float = STALLED_S) -> None:
        self._window_s = window_s
        self._stalled_s = stalled_s
        self._tracks: dict[tuple[str, Place], _Track] = {}

    def note(self, lag: PartitionLag, now: float) -> Trend:
        """Add a reading and say what the readings mean."""
        track = self._tracks.get((lag.group, lag.place))
        if track is None or track.kept_in != lag.kept_in:
            # Two places that keep positions are seldom at the same one: going over is no step back.
            track = self._tracks[lag.group, lag.place] = _Track(now, lag.kept_in)
        position = -1 if lag.position is None else lag.position
        last = track.samples[-1] if track.samples else None
        if last is not None and position < last.position:
            track.rewinds += 1
            track.rewound_at = now
            # A rate across the step back would be nonsense.
            track.samples.clear()
        if last is None or position != last.position or lag.records == 0:
            track.moved_at = now
        track.samples.append(_Sample(now, position, lag.end))
        while track.samples[0].at < now - self._window_s and len(track.samples) > 2:
            track.samples.popleft()
        return self._trend(track, lag, now)

    def _trend(self, track: _Track, lag: PartitionLag, now: float) -> Trend:
        first, last = track.samples[0], track.samples[-1]
        took = last.at - first.at
        read = (last.position - max(0, first.position)) / took if took > 0 else 0.0
        written = max(0.0, (last.end - first.end) / took) if took > 0 else 0.0
        return Trend(
            self._state(track, lag, now),
            max(0.0, read),
            written,
            drain_s(lag.records, max(0.0, read), written),
            now - track.moved_at if lag.records else 0.0,
            track.rewinds,
        )

    def _state(self, track: _Track, lag: PartitionLag, now: float) -> State:
        if now - track.rewound_at < REWOUND_S:
            return State.REWOUND
        if lag.records == 0:
            return State.CAUGHT_UP
        if now - track.moved_at >= self._stalled_s:
            return State.STALLED
        if len(track.samples) == 1:
            return State.UNKNOWN
        return State.MOVING if track.moved_at == now else State.STANDING


def drain_s(records: int, read_rate: float, written_rate: float) -> float:
    """Seconds until nothing is unread at these rates; inf when more comes than is read."""
    if records == 0:
        return 0.0
    gain = read_rate - written_rate
    return records / gain if gain > 1e-9 else math.inf
