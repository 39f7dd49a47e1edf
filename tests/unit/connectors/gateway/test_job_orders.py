"""Cancel and retry by hand: whose jobs, in which states, and what goes to Kafka."""

import json
from typing import Any

import pytest

from connectors.gateway.identity import Role
from schemas.commands import Cancel, cancel_of
from schemas.records import JobRequest
from schemas.states import TERMINAL
from streams.core.admission import Source, job_of_request
from tests.unit.connectors.gateway.fakes import API, CODEC, NOW_MS, Gateway, bearer, letter, payment, view

JOB = "00000000-0000-7000-8000-000000000001"


async def called(
    method: str, path: str, gateway: Gateway, role: Role = Role.VENUE_ADMIN, tenant: str = "acme"
) -> tuple[int, Any]:
    async with gateway.client() as client:
        answer = await client.request(method, f"{API}/jobs/{path}", headers=bearer(role, "eve", tenant))
    return answer.status_code, answer.json()


def a_gateway(**members: Any) -> Gateway:
    gateway = Gateway()
    given = {"ordering_key": "d1", "document_id": "d1", "state": "waiting", **members}
    gateway.status.jobs[JOB] = view(JOB, **given)
    return gateway


async def test_a_cancel_goes_to_the_job_requests_under_the_key_of_its_job() -> None:
    gateway = a_gateway(series=2, ordering_key="key:1", document_id=None)
    status, answer = await called("DELETE", f"{JOB}?reason=a+mistake", gateway)
    assert (status, answer) == (202, {"jobId": JOB, "status": "cancelling", "state": "waiting"})
    (request,) = gateway.producer.requests
    assert (request.queue, request.ordering_key, request.accepted_at) == ("control", "key:1", NOW_MS)
    assert cancel_of(request) == Cancel(JOB, 2, "eve", 2, "a mistake")
    assert gateway.producer.sent[0].key == b"key:1"


async def test_a_cancel_takes_the_way_that_its_job_took() -> None:
    gateway = a_gateway(ordering_key="key:1", document_id="d1")
    await called("DELETE", JOB, gateway)
    assert gateway.producer.sent[0].key == b"d1"


@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_a_job_that_has_ended_is_not_cancelled(state: str) -> None:
    gateway = a_gateway(state=state)
    status, answer = await called("DELETE", JOB, gateway)
    assert (status, answer["code"], answer["state"]) == (409, "conflict", state)
    assert gateway.producer.sent == []


async def test_a_job_of_which_only_its_history_is_known_is_cancelled_later() -> None:
    status, _ = await called("DELETE", JOB, a_gateway(ordering_key=None))
    assert status == 503


@pytest.mark.parametrize("call", [("DELETE", JOB), ("POST", f"{JOB}/retry")])
async def test_another_tenants_job_is_not_found(call: tuple[str, str]) -> None:
    gateway = a_gateway(state="dead")
    status, _ = await called(*call, gateway, tenant="other")
    assert (status, gateway.producer.sent) == (404, [])


@pytest.mark.parametrize("call", [("DELETE", JOB), ("POST", f"{JOB}/retry")])
@pytest.mark.parametrize("role", [Role.USER, Role.MONITORING])
async def test_users_give_no_orders(call: tuple[str, str], role: Role) -> None:
    assert (await called(*call, a_gateway(), role))[0] == 403


def a_dead_payment() -> Gateway:
    request = JobRequest(
        JOB, "money", "payment-process", json.dumps(payment()["data"]), NOW_MS, tenant_id="acme"
    )
    job = job_of_request(request, Source("t.job-requests", 0, 1))
    gateway = a_gateway(state="dead", tier=1, queue="money", type="payment-process")
    died = letter(letter_id=f"{JOB}:0", job_id=JOB, tenant_id="acme", value=CODEC.encode(job))
    gateway.letters.letters.append(died)
    return gateway


async def test_a_retry_asks_for_the_next_series_of_the_same_job() -> None:
    gateway = a_dead_payment()
    status, answer = await called("POST", f"{JOB}/retry", gateway)
    assert (status, answer) == (202, {"jobId": JOB, "status": "queued", "state": "dead", "series": 1})
    (request,) = gateway.producer.requests
    assert (request.job_id, request.series, request.data) == (JOB, 1, json.dumps(payment()["data"]))


@pytest.mark.parametrize("state", ["waiting", "active", "delayed", "completed", "cancelled", "duplicate"])
async def test_only_a_dead_job_is_tried_again(state: str) -> None:
    gateway = a_dead_payment()
    gateway.status.jobs[JOB] = view(JOB, state=state)
    status, answer = await called("POST", f"{JOB}/retry", gateway)
    assert (status, answer["state"], gateway.producer.sent) == (409, state, [])


async def test_a_retry_waits_for_the_dead_letter() -> None:
    gateway = a_dead_payment()
    gateway.letters.letters.clear()
    assert (await called("POST", f"{JOB}/retry", gateway))[0] == 503


async def test_a_retry_stands_beside_the_dead_letter_and_said_twice_it_is_one() -> None:
    gateway = a_dead_payment()
    first = await called("POST", f"{JOB}/retry", gateway)
    kept = await gateway.letters.one(f"{JOB}:0", None)
    assert kept is not None
    assert kept.redriven is not None
    assert (kept.redriven.by, kept.redriven.series) == ("eve", 1)
    assert await called("POST", f"{JOB}/retry", gateway) == first
    assert len(gateway.producer.requests) == 1
