"""POST /jobs and GET /jobs/:id."""

from typing import Any

import pytest

from connectors.gateway.identity import Role
from connectors.redis.status import CompletedKey
from schemas.keys import digest
from schemas.records import Backoff, Transition
from streams.core.admission import Source, job_of_request
from tests.unit.connectors.gateway.fakes import (
    API,
    NOW_MS,
    USER,
    VENUE,
    Gateway,
    bearer,
    formula,
    payment,
    view,
)

JOB_ID = "01a2042e-c61c-75c1-8a85-03812d0a8fb4"


async def test_a_job_is_answered_201_and_is_on_the_request_topic() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        answer = await client.post(f"{API}/jobs", json=formula(), headers=bearer(Role.USER, "ada", "acme"))
    body = answer.json()
    [request] = gateway.producer.requests
    assert answer.status_code == 201
    assert body["status"] == "queued"
    assert body["options"] == {"priority": 5, "delay": 0, "attempts": 3, "timeout": 30_000}
    assert request.job_id == body["jobId"]
    assert (request.user_id, request.tenant_id, request.document_id) == ("ada", "acme", "d1")
    assert request.accepted_at == NOW_MS
    assert gateway.producer.sent[0].key == b"d1"


async def test_the_record_carries_the_ids_of_job_request_trace_and_tenant() -> None:
    gateway = Gateway()
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    headers = {**bearer(Role.USER, "ada", "acme"), "X-Request-ID": "req-7", "traceparent": trace}
    async with gateway.client() as client:
        answer = await client.post(f"{API}/jobs", json=formula(), headers=headers)
    assert gateway.producer.sent[0].headers == {
        "job-id": answer.json()["jobId"].encode(),
        "request-id": b"req-7",
        "traceparent": trace.encode(),
        "tenant": b"acme",
    }
    assert answer.headers["x-request-id"] == "req-7"


async def test_a_job_is_shown_as_waiting_only_after_kafka_has_it() -> None:
    gateway = Gateway()
    gateway.producer.away = True
    async with gateway.client() as client:
        refused = await client.post(f"{API}/jobs", json=formula(), headers=bearer())
        gateway.producer.away = False
        taken = await client.post(f"{API}/jobs", json=formula(), headers=bearer())
    assert refused.status_code == 503
    assert gateway.status.shown == [taken.json()["jobId"]]


async def test_kafka_away_is_503_with_retry_after() -> None:
    gateway = Gateway()
    gateway.producer.away = True
    async with gateway.client() as client:
        answer = await client.post(f"{API}/jobs", json=formula(), headers=bearer())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["code"] == "unavailable"


async def test_jobs_are_accepted_while_redis_is_away_and_it_is_not_asked_each_time() -> None:
    gateway = Gateway()
    gateway.status.away = True
    async with gateway.client() as client:
        codes = [
            (await client.post(f"{API}/jobs", json=payment(), headers=bearer())).status_code for _ in range(5)
        ]
    assert codes == [201] * 5
    assert gateway.status.asked < 5


async def test_data_is_stored_exactly_as_it_was_sent() -> None:
    gateway = Gateway()
    data = '{"documentId":"d1",  "userId":"ada","cellId":"A1","formula":"=1+1","extra":1.10}'
    body = f'{{"queue":"robot","type":"formula_calculation","data":{data}}}'
    async with gateway.client() as client:
        await client.post(
            f"{API}/jobs", content=body, headers={**bearer(), "Content-Type": "application/json"}
        )
    assert gateway.producer.requests[0].data == data


async def test_all_wrong_fields_of_envelope_and_data_are_told_at_once() -> None:
    wrong = payment(
        amount=0, options={"attempts": 11, "priority": "urgent", "colour": 1, "repeat": {"every": 5}}, bar=1
    )
    async with Gateway().client() as client:
        answer = await client.post(f"{API}/jobs", json=wrong, headers=bearer())
    body = answer.json()
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert {error["field"] for error in body["errors"]} == {
        "bar", "data.amount", "options.attempts", "options.colour", "options.priority", "options.repeat",
    }  # fmt: skip
    assert (body["error"], body["code"]) == (body["title"], "invalid")
    assert body["requestId"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("job", "status", "code"),
    [
        (formula(queue="nowhere"), 422, "unknown_type"),
        (formula(type="nothing"), 422, "unknown_type"),
        (formula(queue="money"), 422, "unknown_type"),
        ({"queue": "events", "type": "cell_update", "data": {}}, 422, "refused"),
        ({"queue": "robot", "type": "data_fetch", "data": formula()["data"] | {
            "source": "api", "endpoint": "x", "targetCells": ["A1"]}}, 501, "not_offered"),
        (formula(options={"dependsOn": [JOB_ID]}), 400, "invalid"),
        (formula(options={"delay": 1, "runAt": "2030-01-01T00:00:00Z"}), 400, "invalid"),
        (formula(options={"runAt": "2030-01-01T00:00:00"}), 400, "invalid"),
        (formula(options={"priority": 0}), 400, "invalid"),
        (formula(options={"priority": True}), 400, "invalid"),
        (formula(jobId="not-a-uuid"), 400, "invalid"),
        (formula(documentId="another"), 400, "invalid"),
        (formula(data=[]), 400, "invalid"),
        ({"queue": "robot", "type": "formula_calculation"}, 400, "invalid"),
        (formula(orderingKey="a\r\nb"), 400, "invalid"),
        ([], 400, "invalid"),
        ("text", 400, "invalid"),
    ],
)  # fmt: skip
async def test_what_does_not_hold_is_refused_and_nothing_is_produced(
    job: Any, status: int, code: str
) -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        answer = await client.post(f"{API}/jobs", json=job, headers=bearer())
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert gateway.producer.sent == []


async def test_a_type_whose_provider_has_no_credentials_names_the_setting() -> None:
    gateway = Gateway(missing={"payment-process": "STRIPE_SECRET_KEY"})
    async with gateway.client() as client:
        answer = await client.post(f"{API}/jobs", json=payment(), headers=bearer())
    assert answer.status_code == 503
    assert answer.json()["code"] == "not_configured"
    assert "STRIPE_SECRET_KEY" in answer.json()["detail"]


async def test_options_reach_the_record() -> None:
    gateway = Gateway()
    options = {
        "priority": "high", "runAt": "2030-01-01T01:00:00+01:00", "attempts": 4, "timeout": 9_000,
        "backoff": {"type": "linear", "delay": 5, "maxDelay": 50, "jitter": False}, "idempotencyKey": "k-1",
    }  # fmt: skip
    async with gateway.client() as client:
        answer = await client.post(f"{API}/jobs", json=formula(options=options), headers=bearer())
    given = gateway.producer.requests[0].options
    assert (given.priority, given.attempts, given.timeout_ms, given.idempotency_key) == (7, 4, 9_000, "k-1")
    assert given.run_at == 1_893_456_000_000
    assert given.backoff == Backoff("linear", 5, 50, False)
    assert answer.json()["options"]["runAt"] == 1_893_456_000_000


async def test_aliases_of_queue_and_type_are_answered_by_their_stems() -> None:
    job = payment()
    job.update(queue="money-queue", type="payment_process")
    async with Gateway().client() as client:
        body = (await client.post(f"{API}/jobs", json=job, headers=bearer())).json()
    assert (body["queue"], body["type"]) == ("money", "payment-process")


async def test_the_header_is_the_idempotency_key() -> None:
    gateway = Gateway()
    headers = {**bearer(), "Idempotency-Key": '"k-2"'}
    async with gateway.client() as client:
        await client.post(f"{API}/jobs", json=payment(), headers=headers)
    assert gateway.producer.requests[0].options.idempotency_key == "k-2"


async def test_header_and_option_that_differ_are_refused() -> None:
    headers = {**bearer(), "Idempotency-Key": "k-2"}
    async with Gateway().client() as client:
        answer = await client.post(
            f"{API}/jobs", json=payment(options={"idempotencyKey": "k-1"}), headers=headers
        )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "options.idempotencyKey"


async def _completed(gateway: Gateway, data: dict[str, Any], tenant: str | None, key: str) -> None:
    """Let a job with this data be known as completed under a key."""
    async with gateway.client() as client:
        await client.post(f"{API}/jobs", json=data, headers=bearer())
    request = gateway.producer.requests.pop()
    gateway.producer.sent.clear()
    hashed = job_of_request(request, Source("", 0, 0)).data_hash
    gateway.status.completed[digest(tenant or "", key)] = CompletedKey("first", hashed)


async def test_a_repeat_of_a_completed_job_is_answered_200_with_the_first_id() -> None:
    gateway = Gateway()
    key = f"payment-{VENUE}-{USER}-33333333-3333-4333-8333-333333333333-100"
    await _completed(gateway, payment(), None, key)
    async with gateway.client() as client:
        answer = await client.post(f"{API}/jobs", json=payment(), headers=bearer())
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["jobId"]) == ("duplicate", "first")
    assert gateway.producer.sent == []


async def test_a_completed_key_with_other_data_is_422() -> None:
    gateway = Gateway()
    await _completed(gateway, payment(options={"idempotencyKey": "k"}), None, "k")
    async with gateway.client() as client:
        answer = await client.post(
            f"{API}/jobs", json=payment(amount=200, options={"idempotencyKey": "k"}), headers=bearer()
        )
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_conflict")
    assert gateway.producer.sent == []


async def test_the_key_of_another_tenant_is_another_key() -> None:
    gateway = Gateway()
    await _completed(gateway, payment(options={"idempotencyKey": "k"}), "other", "k")
    async with gateway.client() as client:
        answer = await client.post(
            f"{API}/jobs",
            json=payment(amount=200, options={"idempotencyKey": "k"}),
            headers=bearer(Role.VENUE_ADMIN, "v", "acme"),
        )
    assert answer.status_code == 201


async def test_a_chosen_id_is_an_idempotency_key_where_the_type_has_no_rule() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        await client.post(f"{API}/jobs", json=formula(jobId=JOB_ID.upper()), headers=bearer())
        await client.post(f"{API}/jobs", json=payment(jobId=JOB_ID), headers=bearer())
    first, second = gateway.producer.requests
    assert (first.job_id, first.options.idempotency_key) == (JOB_ID, f"job:{JOB_ID}")
    assert (second.job_id, second.options.idempotency_key) == (JOB_ID, None)


async def test_nobody_writes_into_another_jobs_history() -> None:
    gateway = Gateway()
    gateway.status.jobs[JOB_ID] = view(JOB_ID, user_id="bob")
    async with gateway.client() as client:
        answer = await client.post(
            f"{API}/jobs", json=formula(jobId=JOB_ID), headers=bearer(Role.USER, "ada", "acme")
        )
    assert answer.status_code == 422
    assert gateway.producer.sent == []


@pytest.mark.parametrize(
    ("state", "status", "word"),
    [("waiting", 201, "queued"), ("active", 201, "queued"), ("completed", 200, "duplicate")],
)
async def test_a_repeat_under_the_same_id_is_not_written_a_second_time(
    state: str, status: int, word: str
) -> None:
    gateway = Gateway()
    gateway.status.jobs[JOB_ID] = view(JOB_ID, state=state)
    async with gateway.client() as client:
        answer = await client.post(
            f"{API}/jobs", json=formula(jobId=JOB_ID), headers=bearer(Role.USER, "ada", "acme")
        )
    assert (answer.status_code, answer.json()["status"], answer.json()["jobId"]) == (status, word, JOB_ID)
    assert gateway.producer.sent == []


async def test_the_id_of_a_dead_job_is_not_taken_again() -> None:
    gateway = Gateway()
    gateway.status.jobs[JOB_ID] = view(JOB_ID, state="dead")
    async with gateway.client() as client:
        answer = await client.post(f"{API}/jobs", json=formula(jobId=JOB_ID), headers=bearer())
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "jobId")


async def test_a_user_acts_for_nobody_else() -> None:
    async with Gateway().client() as client:
        for job in (formula(userId="bob"), formula(data=formula()["data"] | {"userId": "bob"})):
            answer = await client.post(f"{API}/jobs", json=job, headers=bearer(Role.USER, "ada", "acme"))
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_job_that_an_admin_submits_belongs_to_the_user_in_its_data() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        await client.post(f"{API}/jobs", json=payment(), headers=bearer(Role.ADMIN, "root"))
    assert gateway.producer.requests[0].user_id == USER


async def test_a_tenant_that_the_token_does_not_hold_is_forbidden() -> None:
    async with Gateway().client() as client:
        answer = await client.post(
            f"{API}/jobs", json=formula(tenantId="other"), headers=bearer(Role.VENUE_ADMIN, "ada", "acme")
        )
    assert answer.status_code == 403


async def test_with_several_tenants_the_venue_decides_else_one_must_be_named() -> None:
    gateway = Gateway()
    headers = bearer(Role.VENUE_ADMIN, "v", "acme", VENUE)
    async with gateway.client() as client:
        by_venue = await client.post(f"{API}/jobs", json=payment(), headers=headers)
        unnamed = await client.post(f"{API}/jobs", json=formula(), headers=headers)
        named = await client.post(f"{API}/jobs", json=formula(tenantId="acme"), headers=headers)
    assert [by_venue.status_code, unnamed.status_code, named.status_code] == [201, 400, 201]
    assert [request.tenant_id for request in gateway.producer.requests] == [VENUE, "acme"]


@pytest.mark.parametrize(
    ("role", "user", "tenants", "status"),
    [
        (Role.USER, "ada", [], 200),
        (Role.USER, "bob", ["acme"], 404),
        (Role.VENUE_ADMIN, "v", ["acme"], 200),
        (Role.VENUE_ADMIN, "v", ["other"], 404),
        (Role.ADMIN, "root", [], 200),
        (Role.MONITORING, "m", ["acme"], 403),
    ],
)
async def test_who_may_see_a_job(role: Role, user: str, tenants: list[str], status: int) -> None:
    gateway = Gateway()
    gateway.status.jobs[JOB_ID] = view(JOB_ID)
    async with gateway.client() as client:
        answer = await client.get(f"{API}/jobs/{JOB_ID}", headers=bearer(role, user, *tenants))
    assert answer.status_code == status


async def test_a_job_of_no_tenant_is_seen_by_no_venue_admin() -> None:
    gateway = Gateway()
    gateway.status.jobs[JOB_ID] = view(JOB_ID, tenant_id=None)
    async with gateway.client() as client:
        answer = await client.get(f"{API}/jobs/{JOB_ID}", headers=bearer(Role.VENUE_ADMIN, "v", "acme"))
    assert answer.status_code == 404


async def test_a_job_shows_its_data_progress_result_and_timeline() -> None:
    gateway = Gateway()
    changes = [
        Transition(0, "", "waiting", 0, NOW_MS),
        Transition(1, "waiting", "active", 1, NOW_MS + 5, progress=40, stage="executing", message="half"),
        Transition(2, "active", "completed", 1, NOW_MS + 9, result='{"success":true}'),
    ]
    gateway.status.jobs[JOB_ID] = view(
        JOB_ID, state="completed", data='{"a": 1}', attempts=1, result='{"success":true}',
        processed_at=NOW_MS + 5, finished_at=NOW_MS + 9, timeline=changes,
    )  # fmt: skip
    async with gateway.client() as client:
        body = (await client.get(f"{API}/jobs/{JOB_ID}?queue=robot-queue", headers=bearer())).json()
    assert body["state"] == "completed"
    assert (body["data"], body["result"], body["progress"]) == ({"a": 1}, {"success": True}, 100)
    assert body["createdAt"] == "2027-01-15T08:00:00.000Z"
    assert body["finishedAt"] == "2027-01-15T08:00:00.009Z"
    assert [change["state"] for change in body["timeline"]] == ["waiting", "active", "completed"]
    assert body["timeline"][1]["progress"] == {"percentage": 40, "stage": "executing", "message": "half"}


async def test_what_redis_has_forgotten_comes_from_postgres() -> None:
    gateway = Gateway()
    gateway.records.jobs[JOB_ID] = view(JOB_ID)
    async with gateway.client() as client:
        assert (await client.get(f"{API}/jobs/{JOB_ID}", headers=bearer())).status_code == 200
        gateway.status.away = True
        assert (await client.get(f"{API}/jobs/{JOB_ID}", headers=bearer())).status_code == 200


async def test_not_found_is_said_only_when_every_store_was_asked() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        assert (await client.get(f"{API}/jobs/{JOB_ID}", headers=bearer())).status_code == 404
        gateway.status.away = True
        assert (await client.get(f"{API}/jobs/{JOB_ID}", headers=bearer())).status_code == 503
        gateway.status.away, gateway.records.away = False, True
        assert (await client.get(f"{API}/jobs/{JOB_ID}", headers=bearer())).status_code == 503


async def test_an_id_that_is_none_and_a_job_of_another_queue_are_not_found() -> None:
    gateway = Gateway()
    gateway.status.jobs[JOB_ID] = view(JOB_ID)
    async with gateway.client() as client:
        assert (await client.get(f"{API}/jobs/12345", headers=bearer())).status_code == 404
        assert (await client.get(f"{API}/jobs/{JOB_ID}?queue=money", headers=bearer())).status_code == 404
