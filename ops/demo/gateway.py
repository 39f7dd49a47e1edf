"""The demo's way in and its way to ask: the gateway's HTTP API, nothing else.

As a careful client it hands in again what was answered with 503: Kafka may have it or not. A job gets its id
here, by which a repeat is told; an event that is there twice says the same twice.
"""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from schemas.catalogue import find_queue

Json = dict[str, Any]
EVENTS_PER_CALL = 500
JOBS_PER_CALL = 100
_AT_ONCE = 16
_AWAY = 503
_AGAIN_EVERY_S = 1.0
_TERMINAL = ("completed", "dead", "cancelled", "duplicate")


@dataclass
class Gateway:
    """A client that remembers what was accepted. `accepted`: job id -> tier."""

    client: httpx.AsyncClient
    accepted: dict[str, int] = field(default_factory=dict)
    patience_s: float = 60.0

    async def events(self, events: Sequence[Json]) -> list[str]:
        """Hand in events of any number; return their ids in the same order."""
        ids: list[str] = []
        for part in parts(events, EVENTS_PER_CALL):
            answer = await self._post("/events/bulk", {"events": part}, 202)
            ids += answer["eventIds"]
            self.accepted |= dict.fromkeys(answer["eventIds"], find_queue("events").tier.value)
        return ids

    async def jobs(self, queue: str, jobs: Sequence[Json]) -> list[str]:
        """Hand in jobs of one queue, each `{type, data, options}`; return their ids in the same order."""
        ids: list[str] = []
        for part in parts(jobs, JOBS_PER_CALL):
            named = [{**job, "jobId": str(uuid.uuid4())} for job in part]
            answer = await self._post(
                "/jobs/batch", {"queue": queue, "jobs": named, "options": {"stopOnError": True}}, 201
            )
            ids += [job["jobId"] for job in answer["jobs"]]
        self.accepted |= dict.fromkeys(ids, find_queue(queue).tier.value)
        return ids

    async def job(self, queue: str, job: Json) -> tuple[int, Json]:
        """Hand in one job; return the status and the answer, whatever it is."""
        response = await self._sent("/jobs", {"queue": queue, "jobId": str(uuid.uuid4()), **job})
        answer = response.json()
        if response.status_code == 201:
            self.accepted[answer["jobId"]] = find_queue(queue).tier.value
        return response.status_code, answer

    async def shown(self, ids: Sequence[str], limit_s: float = 120.0) -> dict[str, Json]:
        """What the API shows of these jobs; waits a little for what it has not seen end."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(job_id: str) -> Json:
            async with gate:
                return await self._settled(job_id, limit_s)

        return dict(zip(ids, await asyncio.gather(*map(ask, ids)), strict=True))

    async def _settled(self, job_id: str, limit_s: float) -> Json:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s
        while True:
            response = await self.client.get(f"/jobs/{job_id}")
            answer: Json = response.json() if response.status_code == 200 else {"state": response.status_code}
            if answer["state"] in _TERMINAL or loop.time() > deadline:
                return answer
            await asyncio.sleep(0.2)

    async def dead_letters(self, pages: int = 20) -> list[Json]:
        """The latest dead letters."""
        letters: list[Json] = []
        cursor: str | None = None
        for _ in range(pages):
            query = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
            page = (await self.client.get("/failed", params=query)).raise_for_status().json()
            letters += page["failed"]
            cursor = page["cursor"]
            if cursor is None:
                break
        return letters

    async def _post(self, path: str, body: Json, expected: int) -> Json:
        response = await self._sent(path, body)
        if response.status_code != expected:
            raise DemoError(f"POST {path} answered {response.status_code}: {response.text[:500]}")
        answer: Json = response.json()
        return answer

    async def _sent(self, path: str, body: Json) -> httpx.Response:
        """The answer; the last one when the gateway could not accept for so long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.patience_s
        while True:
            response = await self.client.post(path, json=body)
            if response.status_code != _AWAY or loop.time() > deadline:
                return response
            await asyncio.sleep(_AGAIN_EVERY_S)


class DemoError(Exception):
    """The demo cannot go on."""


def data_of(job: Json) -> Any:
    """The data of a completed job's result; None when it has none."""
    result = job.get("result")
    return result.get("data") if isinstance(result, dict) else None


def parts(items: Sequence[Json], size: int) -> Iterator[Sequence[Json]]:
    """The items in parts of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
