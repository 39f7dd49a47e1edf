"""How many jobs stand where, and since when the oldest one waits: for those who watch, queue by queue."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import redis

from connectors.redis import keys
from schemas.errors import UnavailableError
from schemas.states import State

_TIMEOUT_S = 3


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Jobs by state, and how many seconds the oldest waiting job has waited."""

    counts: dict[State, int]
    oldest_s: float


class Figures:
    """Reads the counts that the projector keeps. Blocks for some seconds; UnavailableError without Redis."""

    def __init__(self, url: str, topic_prefix: str) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            client_name="tierflow-figures",
        )
        self._prefix = keys.prefix_of(topic_prefix)

    def read(self, queues: Collection[str], now_ms: int | None = None) -> dict[str, QueueFigures]:
        """Every queue's figures, in one round trip."""
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        with self._client.pipeline(transaction=False) as pipeline:
            for queue in queues:
                pipeline.hgetall(keys.counts(self._prefix, queue))
                oldest = keys.samples(self._prefix, queue, State.WAITING)
                pipeline.zrange(oldest, 0, 0, withscores=True)
            try:
                found: list[Any] = pipeline.execute()
            except redis.RedisError as error:
                raise UnavailableError(f"Redis does not answer: {error}") from error
        pairs = zip(found[::2], found[1::2], strict=True)
        return {queue: _figures(*pair, now) for queue, pair in zip(queues, pairs, strict=True)}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _figures(counts: dict[bytes, bytes], oldest: list[tuple[bytes, float]], now_ms: int) -> QueueFigures:
    found = {state: int(counts.get(state.value.encode(), 0)) for state in State}
    waits_since = oldest[0][1] if oldest and found[State.WAITING] > 0 else float(now_ms)
    return QueueFigures(found, max(0.0, (now_ms - waits_since) / 1000))
