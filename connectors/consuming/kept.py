"""The positions that Postgres and Redis keep, for those who watch from outside. Reads only."""

from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import redis

from connectors.consuming.positions import Place
from connectors.redis import keys
from schemas.errors import UnavailableError
from streams.settings import Settings

_TIMEOUT_S = 3


def kept_positions(settings: Settings) -> dict[str, Callable[[], dict[Place, int]]]:
    """A function per store that returns its positions; UnavailableError when the store does not answer."""
    return {
        "postgres": partial(in_postgres, settings.postgres.url.get_secret_value()),
        "redis": partial(in_redis, settings.redis.url.get_secret_value(), settings.kafka.topic_prefix),
    }


def in_postgres(database_url: str) -> dict[Place, int]:
    """The next offset of each partition that the sink has written."""
    try:
        with psycopg.connect(database_url, connect_timeout=_TIMEOUT_S) as connection:
            rows = connection.execute("select topic, partition, next from sink_offsets").fetchall()
    except psycopg.Error as error:
        raise UnavailableError(f"Postgres does not tell its positions: {error}") from error
    return {(topic, partition): following for topic, partition, following in rows}


def in_redis(url: str, topic_prefix: str) -> dict[Place, int]:
    """The next offset of each partition that the projector has written."""
    try:
        with redis.Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
        ) as client:
            found: Any = client.hgetall(keys.offsets(keys.prefix_of(topic_prefix)))
    except redis.RedisError as error:
        raise UnavailableError(f"Redis does not tell its positions: {error}") from error
    # Beside the positions stands which topic they are of.
    places = {field.decode(): following for field, following in found.items() if b"|" in field}
    return {_place(field): int(following) for field, following in places.items()}


def _place(field: str) -> Place:
    topic, _, partition = field.rpartition("|")
    return topic, int(partition)
