"""POST /jobs/batch."""

from typing import Any

from connectors.gateway.identity import Role
from tests.unit.connectors.gateway.fakes import API, Gateway, bearer, formula

PATH = f"{API}/jobs/batch"


def batch(*jobs: Any, **options: Any) -> dict[str, Any]:
    return {"queue": "robot", "jobs": list(jobs), "options": options}


def member(**data: Any) -> dict[str, Any]:
    job = formula()
    return {"type": job["type"], "data": {**job["data"], **data}}


async def test_all_jobs_go_in_one_transaction() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        answer = await client.post(PATH, json=batch(member(), member()), headers=bearer())
    body = answer.json()
    assert answer.status_code == 201
    assert (body["queue"], body["total"], body["successful"], body["failed"]) == ("robot", 2, 2, 0)
    assert [job["jobId"] for job in body["jobs"]] == [r.job_id for r in gateway.producer.requests]
    assert gateway.producer.batches == [2]


async def test_without_stop_on_error_the_right_ones_are_taken_and_the_others_told() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        answer = await client.post(
            PATH,
            json=batch(member(), member(cellId="?"), {"type": "nothing", "data": {}}, 7),
            headers=bearer(),
        )
    body = answer.json()
    assert answer.status_code == 201
    assert (body["successful"], body["failed"]) == (1, 3)
    assert [(e["index"], e["status"]) for e in body["errors"]] == [(1, 400), (2, 422), (3, 400)]
    assert body["errors"][0]["errors"][0]["field"] == "jobs.1.data.cellId"
    assert len(gateway.producer.sent) == 1


async def test_with_stop_on_error_one_wrong_job_keeps_all_out() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        answer = await client.post(
            PATH, json=batch(member(), member(cellId="?"), stopOnError=True), headers=bearer()
        )
    body = answer.json()
    assert answer.status_code == 400
    assert (body["successful"], body["failed"], body["jobs"]) == (0, 2, [])
    assert [error["index"] for error in body["errors"]] == [1]
    assert gateway.producer.sent == []


async def test_a_batch_without_a_right_job_is_no_201() -> None:
    async with Gateway().client() as client:
        answer = await client.post(PATH, json=batch(member(cellId="?")), headers=bearer())
    assert answer.status_code == 400


async def test_kafka_away_accepts_none_of_a_batch() -> None:
    gateway = Gateway()
    gateway.producer.away = True
    async with gateway.client() as client:
        answer = await client.post(PATH, json=batch(member(), member()), headers=bearer())
    assert answer.status_code == 503
    assert gateway.status.shown == []


async def test_a_batch_has_1_to_100_jobs_of_its_own_queue() -> None:
    async with Gateway().client() as client:
        none = await client.post(PATH, json=batch(), headers=bearer())
        many = await client.post(PATH, json=batch(*[member()] * 101), headers=bearer())
        other = await client.post(PATH, json=batch({**member(), "queue": "money"}), headers=bearer())
        unknown = await client.post(PATH, json={**batch(member()), "queue": "x"}, headers=bearer())
    assert [r.status_code for r in (none, many, other, unknown)] == [400, 400, 400, 422]


async def test_a_batch_takes_no_idempotency_key_header() -> None:
    headers = {**bearer(), "Idempotency-Key": "k"}
    async with Gateway().client() as client:
        answer = await client.post(PATH, json=batch(member()), headers=headers)
    assert answer.status_code == 400


async def test_batches_are_for_tenant_admins() -> None:
    async with Gateway().client() as client:
        user = await client.post(PATH, json=batch(member()), headers=bearer(Role.USER, "ada", "acme"))
        admin = await client.post(PATH, json=batch(member()), headers=bearer(Role.VENUE_ADMIN, "v", "acme"))
    assert (user.status_code, admin.status_code) == (403, 201)
