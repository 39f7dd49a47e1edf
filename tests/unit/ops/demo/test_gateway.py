"""The demo's client: what may not have been accepted is handed in again, as the same jobs."""

import json
from typing import Any

import httpx
import pytest

from ops.demo import gateway as module
from ops.demo.gateway import DemoError, Gateway


class Server:
    """Is away for so many calls, and accepts then."""

    def __init__(self, away: int) -> None:
        self.away, self.asked = away, list[Any]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.asked.append(body)
        if len(self.asked) <= self.away:
            return httpx.Response(503, json={"code": "unavailable"})
        jobs = body.get("jobs", [body])
        taken = [{"jobId": job["jobId"]} for job in jobs]
        return httpx.Response(201, json={"jobs": taken} if "jobs" in body else taken[0])


def client(server: Server, patience_s: float = 60.0) -> Gateway:
    transport = httpx.MockTransport(server)
    return Gateway(httpx.AsyncClient(base_url="http://demo", transport=transport), patience_s=patience_s)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_EVERY_S", 0.0)


async def test_a_batch_that_was_not_accepted_is_sent_again_under_the_same_ids() -> None:
    server = Server(away=2)
    gateway = client(server)
    ids = await gateway.jobs("robot", [{"type": "a"}, {"type": "b"}])
    assert len(server.asked) == 3
    assert server.asked[0] == server.asked[2]
    assert len(set(ids)) == 2
    assert list(gateway.accepted) == ids


async def test_one_job_is_sent_again_too() -> None:
    server = Server(away=1)
    status, answer = await client(server).job("robot", {"type": "a"})
    assert (status, len(server.asked)) == (201, 2)
    assert server.asked[0]["jobId"] == server.asked[1]["jobId"] == answer["jobId"]


async def test_a_gateway_that_stays_away_ends_it() -> None:
    with pytest.raises(DemoError, match="503"):
        await client(Server(away=10_000), patience_s=0.0).jobs("robot", [{"type": "a"}])
