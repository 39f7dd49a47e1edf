"""The read model a second time, in another database of the same Redis: compared, and put in its place."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis

from connectors.consuming.positions import Place
from connectors.redis import keys
from connectors.redis.entries import ACCEPTED, split
from schemas.errors import ConfigError, UnavailableError

_DATABASES = 16
_SCANNED = 1_000
_TOLD = 20


@dataclass(slots=True)
class Difference:
    """How the rebuilt keys differ; of each kind the first ones."""

    keys: int = 0
    count: int = 0
    missing: list[str] = field(default_factory=list)
    """In the original only."""
    extra: list[str] = field(default_factory=list)
    """In the rebuilt one only."""
    differing: list[str] = field(default_factory=list)
    forgotten: int = 0
    """Ended jobs and their keys that the original had rightly forgotten by their time to live."""


def in_database(url: str, number: int) -> str:
    """The URL of another database of the same server."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{number}"))


def database_in(url: str) -> int:
    """The number of the database that a URL names."""
    return int(urlsplit(url).path.strip("/") or 0)


def free_database(url: str) -> int:
    """The first empty database of the server; ConfigError when there is none."""
    for number in range(_DATABASES):
        if number != database_in(url) and not _ask(in_database(url, number), lambda client: client.dbsize()):
            return number
    raise ConfigError("no database of this Redis is empty; name one with --database, it is emptied first")


def clear(url: str) -> None:
    """Empty a database."""
    _ask(url, lambda client: client.flushdb())


def written(url: str, prefix: str) -> dict[Place, int]:
    """How far the projector has written."""
    found: dict[bytes, bytes] = _ask(url, lambda client: client.hgetall(keys.offsets(prefix)))
    return {_place(name): int(offset) for name, offset in found.items() if not name.startswith(b"id:")}


def swap(url: str, number: int) -> None:
    """Exchange the two databases for everybody at once; the original is in the other then."""
    _ask(url, lambda client: client.swapdb(database_in(url), number))


def compare(original_url: str, rebuilt_url: str, prefix: str) -> Difference:
    """The differences of all keys of the read model, times to live aside."""
    found = Difference()
    with redis.Redis.from_url(original_url) as original, redis.Redis.from_url(rebuilt_url) as rebuilt:
        try:
            for name, before, after in _both(original, rebuilt, prefix):
                found.keys += 1
                _note(found, name.removeprefix(prefix), before, after)
            for name, after, before in _both(rebuilt, original, prefix):
                if before is None:
                    _note(found, name.removeprefix(prefix), None, after)
        except redis.RedisError as error:
            raise UnavailableError(f"Redis does not answer: {error}") from error
    return found


def _note(found: Difference, name: str, before: Any, after: Any) -> None:
    if before == after:
        return
    if before is None and name.startswith(("job:", "long:", "done:")):
        found.forgotten += 1
        return
    found.count += 1
    kind = found.missing if after is None else found.extra if before is None else found.differing
    if len(kind) < _TOLD:
        kind.append(name)


def _both(one: Any, other: Any, prefix: str) -> Iterator[tuple[str, Any, Any]]:
    """Every key of `one` with what it holds here and in `other`."""
    # The braces of the prefix are no pattern; brackets, stars and question marks no part of one.
    names: list[bytes] = []
    for name in one.scan_iter(match=f"{prefix}*", count=_SCANNED):
        names.append(name)
        if len(names) >= _SCANNED:
            yield from _read(one, other, names, prefix)
            names = []
    yield from _read(one, other, names, prefix)


def _read(one: Any, other: Any, names: list[bytes], prefix: str) -> Iterator[tuple[str, Any, Any]]:
    sides = []
    for client in (one, other):
        with client.pipeline(transaction=False) as asked:
            for name in names:
                _ask_for(asked, name.decode(), prefix)
            sides.append(
                [
                    _told(name.decode(), prefix, found)
                    for name, found in zip(names, asked.execute(), strict=True)
                ]
            )
    for name, here, there in zip(names, *sides, strict=True):
        if here is not None or there is not None:
            yield name.decode(), here, there


def _ask_for(asked: Any, name: str, prefix: str) -> None:
    kind = name.removeprefix(prefix).partition(":")[0]
    if kind in ("done", "job"):
        asked.get(name)
    elif kind == "sample":
        asked.zrange(name, 0, -1, withscores=True)
    else:
        asked.hgetall(name)


def _told(name: str, prefix: str, found: Any) -> Any:
    """What counts of a key: not that a request was shown before the router saw it, not the topics' ids."""
    kind = name.removeprefix(prefix).partition(":")[0]
    if kind == "job":
        return _entries(found)
    if isinstance(found, dict):
        kept = {key: value for key, value in found.items() if key[:3] != b"id:"}
        if kind == "count":
            kept = {key: value for key, value in kept.items() if value != b"0"}
        elif kind == "long":
            kept = {key: value for key, value in kept.items() if key[:1] != ACCEPTED}
        return kept or None
    return found or None


def _entries(value: bytes | None) -> dict[bytes, bytes] | None:
    """A job's entries, in any order: the topics know nothing of each other's. What is none differs."""
    try:
        found = split(value or b"")
    except ValueError:
        return {b"": value or b""}
    kept = {identity: head + content for identity, head, content in found if identity[:1] != ACCEPTED}
    return kept or None


def _place(name: bytes) -> Place:
    topic, _, partition = name.decode().rpartition("|")
    return topic, int(partition)


def _ask(url: str, question: Any) -> Any:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=2.0) as client:
            return question(client)
    except redis.RedisError as error:
        raise UnavailableError(f"Redis does not answer: {error}") from error
