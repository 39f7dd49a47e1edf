"""The status of jobs as the gateway reads it."""

from importlib.resources import files
from typing import Any, cast

import msgspec
import redis.asyncio as redis
from redis.exceptions import RedisError

from connectors.redis import entries, keys
from connectors.redis.stored import pack_accepted, view
from connectors.views import Envelope, JobView, requested
from schemas.catalogue import JobType
from schemas.errors import UnavailableError
from schemas.records import JobRequest
from streams.codec import Codec

_TIMEOUT_S = 1.0


class CompletedKey(msgspec.Struct, frozen=True):
    """The job that completed under an idempotency key, and the hash of its data."""

    job_id: str
    data_hash: bytes


class StatusStore:
    """Reads the read model; writes nothing but "accepted". UnavailableError when Redis does not answer."""

    def __init__(self, url: str, topic_prefix: str) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            client_name="tierflow-status",
        )
        self._prefix = keys.prefix_of(topic_prefix)
        self._codec = Codec()
        self._accept = self._client.register_script((files(__package__) / "accept.lua").read_text())

    async def accepted(self, request: JobRequest, job_type: JobType, ordering_key: str) -> None:
        """Show a job as waiting before the router has seen it; changes nothing about a job that is known."""
        options = request.options
        envelope = Envelope(
            series=0,
            data=request.data,
            priority=job_type.priority if options.priority is None else options.priority,
            max_attempts=options.attempts or job_type.retry.attempts,
            ordering_key=None if ordering_key == request.job_id else ordering_key,
        )
        stored = pack_accepted(requested(request, job_type.tier.value), envelope)
        names = [keys.job(self._prefix, request.job_id), keys.long(self._prefix, request.job_id)]
        told = entries.accepted(stored)
        await _answer(self._accept(keys=names, args=[keys.ACCEPTED_KEEP_MS, *told]))

    async def job(self, job_id: str) -> JobView | None:
        """The job, or None if it is not known here."""
        found = await self._stored(job_id)
        if not all(one.content for one in found):
            # What lies aside went between the two questions: its job has just moved on.
            found = await self._stored(job_id)
        return view(found, self._codec)

    async def _stored(self, job_id: str) -> list[entries.Entry]:
        value = cast(bytes | None, await _answer(self._client.get(keys.job(self._prefix, job_id))))
        if value is None:
            return []
        long: dict[bytes, bytes] = {}
        if entries.has_long(value):
            long = await _answer(self._client.hgetall(keys.long(self._prefix, job_id)))
        return entries.entries(value, long)

    async def completed_by_key(self, digest: bytes) -> CompletedKey | None:
        """The job that completed under this key and is still remembered."""
        found = cast(bytes | None, await _answer(self._client.get(keys.completed(self._prefix, digest))))
        if found is None:
            return None
        _, data_hash, job_id = found.split(b" ", 2)
        return CompletedKey(job_id.decode(), bytes.fromhex(data_hash.decode()))

    async def counts(self, queue: str) -> dict[str, int]:
        """How many jobs of a queue are in each state; ended ones since the topics' beginning."""
        found = await _answer(self._client.hgetall(keys.counts(self._prefix, queue)))
        return {state.decode(): int(count) for state, count in cast(dict[bytes, bytes], found).items()}

    async def samples(self, queue: str, state: str, limit: int) -> list[str]:
        """Ids of some jobs in a state, the latest first."""
        if limit <= 0:
            return []
        key = keys.samples(self._prefix, queue, state)
        found = await _answer(self._client.zrange(key, 0, limit - 1, desc=True))
        return [job_id.decode() for job_id in cast(list[bytes], found)]

    async def forget(self, queue: str, state: str) -> None:
        """Count no job in this state, and show none, until more come into it. The jobs themselves stay."""
        async with self._client.pipeline(transaction=True) as both:
            both.hdel(keys.counts(self._prefix, queue), state)
            both.delete(keys.samples(self._prefix, queue, state))
            await _answer(both.execute())

    async def ping(self) -> None:
        """Return when Redis answers."""
        await _answer(self._client.ping())

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def _answer(asked: Any) -> Any:
    """The answer to a command, which the library types as awaitable or not."""
    try:
        return await asked
    except RedisError as error:
        raise UnavailableError(f"Redis does not answer: {error}") from error
