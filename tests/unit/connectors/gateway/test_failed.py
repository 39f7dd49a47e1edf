"""GET /failed and below; re-driving and deleting dead letters."""

import asyncio
import base64
import csv
import io
import json
from typing import Any

import pytest

from connectors.gateway.identity import Role
from schemas.records import AttemptError, DeadLetter, Failure, Job, JobRequest
from streams.core.admission import Source, job_of_request
from tests.unit.connectors.gateway.fakes import (
    API,
    CODEC,
    NOW_MS,
    Gateway,
    bearer,
    formula,
    letter,
    view,
)


def died(number: int = 1, *, tenant: str = "acme", at: int = NOW_MS, **members: Any) -> DeadLetter:
    """The letter of a dead job as a worker writes it."""
    data = json.dumps(formula(f"d{number}")["data"])
    request = JobRequest(f"job-{number}", "robot", "formula_calculation", data, NOW_MS, tenant_id=tenant)
    job: Job = job_of_request(request, Source("t.job-requests", 0, number))
    given: dict[str, Any] = {
        "letter_id": f"job-{number}:0", "job_id": f"job-{number}", "tier": 2, "queue": job.queue,
        "type": job.type, "data": data, "value": CODEC.encode(job), "key": b"k", "tenant_id": tenant,
        "last_failed_at": at, "errors": [AttemptError(1, NOW_MS, "timeout", "slow")],
        "error_class": "timeout", "traceparent": "00-abc-def-01",
    }  # fmt: skip
    return letter(**{**given, **members})


def gateway_with(*letters: DeadLetter) -> Gateway:
    gateway = Gateway()
    gateway.letters.letters = list(letters)
    return gateway


async def run_ended(client: Any, run_id: str) -> dict[str, Any]:
    for _ in range(6_000):
        shown = (await client.get(f"{API}/failed/redrives/{run_id}", headers=bearer())).json()
        if shown["state"] != "running":
            return dict(shown)
        await asyncio.sleep(0.01)
    raise AssertionError("the run does not end")


async def test_dead_letters_are_listed_without_their_bytes() -> None:
    gateway = gateway_with(died(1, value=b"secret bytes"))
    async with gateway.client() as client:
        answer = await client.get(f"{API}/failed?queue=robot-queue&limit=7&cursor=c", headers=bearer())
    [entry] = answer.json()["failed"]
    assert answer.json()["cursor"] == "next"
    assert gateway.letters.asked["filter"].queue == "robot"
    assert (gateway.letters.asked["cursor"], gateway.letters.asked["limit"]) == ("c", 7)
    assert entry["error"] == {"class": "timeout", "message": "declined", "retryable": False}
    assert entry["source"] == {"topic": "tier-1.urgent", "partition": 2, "offset": 7}
    assert (entry["data"]["documentId"], entry["traceId"], entry["redriven"]) == ("d1", "abc", None)
    assert entry["attempts"][0]["at"] == "2027-01-15T08:00:00.000Z"
    assert "secret bytes" not in answer.text


async def test_one_letter_is_shown_with_its_original_bytes_and_every_error() -> None:
    gateway = gateway_with(died(1, value=b"\x00\xff raw", headers={"job-id": b"j"}))
    async with gateway.client() as client:
        shown = (await client.get(f"{API}/failed/job-1:0", headers=bearer())).json()
        missing = await client.get(f"{API}/failed/job-2:0", headers=bearer())
    assert base64.b64decode(shown["original"]["value"]) == b"\x00\xff raw"
    assert shown["original"]["headers"] == {"job-id": "j"}
    assert [attempt["error"]["message"] for attempt in shown["attempts"]] == ["slow"]
    assert missing.status_code == 404


@pytest.mark.parametrize(
    "path", ["failed", "failed/groups", "failed/stats", "failed/export", "failed/redrives"]
)
async def test_a_venue_admin_is_shown_only_their_tenants_and_a_user_nothing(path: str) -> None:
    gateway = gateway_with(died())
    async with gateway.client() as client:
        admin = await client.get(f"{API}/{path}", headers=bearer(Role.VENUE_ADMIN, "v", "acme", "b"))
        user = await client.get(f"{API}/{path}", headers=bearer(Role.USER, "ada", "acme"))
    assert (admin.status_code, user.status_code) == (200, 403)
    assert path == "failed/redrives" or gateway.letters.asked["tenants"] == ("acme", "b")


async def test_a_letter_of_another_tenant_is_not_found_whatever_is_ordered() -> None:
    gateway = gateway_with(died(1, tenant="other"))
    headers = bearer(Role.VENUE_ADMIN, "v", "acme")
    async with gateway.client() as client:
        answers = [
            await client.get(f"{API}/failed/job-1:0", headers=headers),
            await client.post(f"{API}/failed/job-1:0/retry", headers=headers),
            await client.delete(f"{API}/failed/job-1:0", headers=headers),
        ]
        many = await client.post(f"{API}/failed/retry", json={"ids": ["job-1:0"]}, headers=headers)
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert many.json()["progress"]["total"] == 0
    assert gateway.producer.sent == []


async def test_a_limit_outside_1_to_100_is_400() -> None:
    async with Gateway().client() as client:
        for limit in (0, 101, "x"):
            answer = await client.get(f"{API}/failed?limit={limit}", headers=bearer())
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


async def test_an_export_as_csv_runs_no_formula_in_a_spreadsheet() -> None:
    gateway = gateway_with(died(1, message='=HYPERLINK("http://x","y")', user_id=" @SUM(A1)"))
    async with gateway.client() as client:
        answer = await client.get(f"{API}/failed/export?format=csv", headers=bearer())
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert answer.headers["content-type"].startswith("text/csv")
    assert row["message"] == '\'=HYPERLINK("http://x","y")'
    assert row["userId"] == "' @SUM(A1)"
    assert row["id"] == "job-1:0"


async def test_an_export_as_json_lines_carries_the_original_bytes() -> None:
    gateway = gateway_with(died(1, value=b"\xff\x00"), died(2, value=None))
    async with gateway.client() as client:
        answer = await client.get(f"{API}/failed/export", headers=bearer())
    first, second = (json.loads(line) for line in answer.text.splitlines())
    assert base64.b64decode(first["value"]) == b"\xff\x00"
    assert second["value"] is None
    assert first["errors"] == [{"attempt": 1, "at": NOW_MS, "error_class": "timeout", "message": "slow"}]


async def test_one_letter_is_driven_again_as_the_next_series_of_its_job() -> None:
    gateway = gateway_with(died(1))
    async with gateway.client() as client:
        answer = await client.post(f"{API}/failed/job-1:0/retry", headers=bearer(Role.ADMIN, "eve"))
        listed = await client.get(f"{API}/failed?fate=redriven", headers=bearer())
        open_ones = await client.get(f"{API}/failed", headers=bearer())
    assert answer.status_code == 202
    assert answer.json() == {
        "letterId": "job-1:0", "jobId": "job-1", "series": 1, "runId": "run-0", "status": "queued",
    }  # fmt: skip
    [sent] = gateway.producer.requests
    assert (sent.job_id, sent.series) == ("job-1", 1)
    [entry] = listed.json()["failed"]
    assert (entry["redriven"]["by"], entry["redriven"]["series"]) == ("eve", 1)
    assert open_ones.json()["failed"] == []


async def test_a_letter_is_not_driven_twice_by_accident() -> None:
    gateway = gateway_with(died(1))
    async with gateway.client() as client:
        await client.post(f"{API}/failed/job-1:0/retry", headers=bearer(Role.ADMIN, "eve"))
        again = await client.post(f"{API}/failed/job-1:0/retry", headers=bearer())
        many = await client.post(f"{API}/failed/retry", json={"ids": ["job-1:0"]}, headers=bearer())
    assert again.status_code == 409
    assert "eve" in again.json()["detail"]
    assert many.json()["progress"]["total"] == 0
    assert len(gateway.producer.requests) == 1


async def test_an_edit_must_hold_the_contract_of_the_type() -> None:
    gateway = gateway_with(died(1))
    async with gateway.client() as client:
        bad = await client.post(
            f"{API}/failed/job-1:0/retry", json={"patch": {"formula": 7}}, headers=bearer()
        )
        none = await client.post(f"{API}/failed/job-1:0/retry", json={"data": []}, headers=bearer())
        unknown = await client.post(f"{API}/failed/job-1:0/retry", json={"x": {}}, headers=bearer())
        assert gateway.producer.sent == []
        good = await client.post(
            f"{API}/failed/job-1:0/retry", json={"patch": {"formula": "=2"}}, headers=bearer()
        )
    assert [bad.status_code, none.status_code, unknown.status_code] == [400, 400, 400]
    assert good.status_code == 202
    assert json.loads(gateway.producer.requests[0].data)["formula"] == "=2"


async def test_a_record_that_was_none_is_driven_again_only_as_a_record_of_a_job() -> None:
    junk = letter(letter_id="u-1", tier=0, value=b"junk", source_topic="t.job-requests", tenant_id="acme")
    gateway = gateway_with(junk)
    async with gateway.client() as client:
        as_it_is = await client.post(f"{API}/failed/u-1/retry", headers=bearer())
        foreign = await client.post(
            f"{API}/failed/u-1/retry", json={"record": {**formula(), "tenantId": "other"}},
            headers=bearer(Role.VENUE_ADMIN, "v", "acme"),
        )  # fmt: skip
        edited = await client.post(f"{API}/failed/u-1/retry", json={"record": formula()}, headers=bearer())
    assert (as_it_is.status_code, foreign.status_code, edited.status_code) == (400, 403, 202)
    [sent] = gateway.producer.requests
    assert (sent.type, sent.tenant_id, sent.series) == ("formula_calculation", "acme", 0)
    assert sent.options.idempotency_key == f"job:{sent.job_id}"


async def test_a_letter_of_the_sink_is_not_a_dead_job() -> None:
    gateway = gateway_with(died(1, job_id=None))
    async with gateway.client() as client:
        answer = await client.post(f"{API}/failed/job-1:0/retry", headers=bearer())
    assert answer.status_code == 400
    assert gateway.producer.sent == []


async def test_many_letters_go_in_stages_and_all_when_the_first_succeed() -> None:
    gateway = gateway_with(*(died(number, at=NOW_MS + number) for number in range(20)))
    for number in range(20):
        gateway.status.jobs[f"job-{number}"] = view(f"job-{number}", series=1, state="completed")
    async with gateway.client() as client:
        order = await client.post(
            f"{API}/failed/retry", json={"filter": {"fingerprint": "f"}}, headers=bearer()
        )
        shown = await run_ended(client, order.json()["runId"])
    assert order.status_code == 202
    assert (shown["state"], shown["progress"]["completed"]) == ("done", 20)
    assert [request.job_id for request in gateway.producer.requests] == [f"job-{n}" for n in range(20)]


async def test_a_canary_that_fails_again_stops_the_run_and_leaves_the_rest_open() -> None:
    gateway = gateway_with(*(died(number, at=NOW_MS + number) for number in range(20)))
    again = Failure("timeout", "slow", True)
    gateway.status.jobs["job-0"] = view("job-0", series=1, state="delayed", error=again)
    async with gateway.client() as client:
        order = await client.post(
            f"{API}/failed/retry", json={"filter": {"queue": "robot"}}, headers=bearer()
        )
        shown = await run_ended(client, order.json()["runId"])
        left = await client.get(f"{API}/failed", headers=bearer())
    assert shown["state"] == "stopped"
    assert "1 of 1 failed again" in shown["reason"]
    assert len(gateway.producer.requests) == 1
    assert len(left.json()["failed"]) == 19


async def test_a_letter_that_the_edit_does_not_fit_is_told_and_stays_open() -> None:
    other = died(2, data=None)
    gateway = gateway_with(died(1), other)
    gateway.status.jobs["job-1"] = view("job-1", series=1, state="completed")
    body = {"ids": ["job-1:0", "job-2:0"], "edit": {"patch": {"formula": "=3"}}, "canary": False}
    async with gateway.client() as client:
        order = await client.post(f"{API}/failed/retry", json=body, headers=bearer())
        shown = await run_ended(client, order.json()["runId"])
        left = await client.get(f"{API}/failed", headers=bearer())
    assert shown["progress"] == {"total": 2, "sent": 1, "completed": 1, "failing": 0, "refused": 1}
    assert [problem["id"] for problem in shown["problems"]] == ["job-2:0"]
    assert [entry["id"] for entry in left.json()["failed"]] == ["job-2:0"]


async def test_a_dry_run_orders_nothing() -> None:
    gateway = gateway_with(died(1), died(2))
    async with gateway.client() as client:
        answer = await client.post(
            f"{API}/failed/retry", json={"filter": {"queue": "robot"}, "dryRun": True}, headers=bearer()
        )
    assert (answer.json()["matches"], answer.json()["dryRun"]) == (2, True)
    assert gateway.letters.known == {}


@pytest.mark.parametrize(
    "body",
    [
        {}, {"ids": []}, {"filter": {}}, {"ids": ["a"], "filter": {"queue": "robot"}}, {"filter": {"x": 1}},
        {"filter": {"queue": "robot"}, "rate": 0}, {"filter": {"queue": "robot"}, "canary": [10, 1]},
        {"filter": {"queue": "robot"}, "canary": [10]}, {"filter": {"queue": "robot", "fate": "all"}},
        {"filter": {"queue": "robot"}, "edit": {"record": {}}}, {"unknown": 1},
        {"filter": {"queue": "robot"}, "tolerated": 2},
    ],
)  # fmt: skip
async def test_an_order_that_does_not_say_what_it_means_is_400(body: dict[str, Any]) -> None:
    gateway = gateway_with(died(1))
    async with gateway.client() as client:
        answer = await client.post(f"{API}/failed/retry", json=body, headers=bearer())
    assert answer.status_code == 400
    assert gateway.letters.known == {}


async def test_a_run_that_is_stopped_sends_no_more_and_another_tenants_run_is_not_found() -> None:
    gateway = gateway_with(died(1), died(2, tenant="other"))
    async with gateway.client() as client:
        order = await client.post(f"{API}/failed/retry", json={"filter": {}, "all": True}, headers=bearer())
        run_id = order.json()["runId"]
        foreign = await client.post(
            f"{API}/failed/redrives/{run_id}/stop", headers=bearer(Role.VENUE_ADMIN, "v", "acme")
        )
        stopped = await client.post(f"{API}/failed/redrives/{run_id}/stop", headers=bearer(Role.ADMIN, "eve"))
    assert foreign.status_code == 404
    assert (stopped.json()["state"], stopped.json()["reason"]) == ("stopped", "stopped by eve")
    assert len(gateway.producer.requests) <= 1


async def test_letters_are_deleted_one_by_one_and_by_age() -> None:
    day = 24 * 3600 * 1000
    gateway = gateway_with(died(1), died(2, at=NOW_MS - 40 * day), died(3, at=NOW_MS - 20 * day))
    async with gateway.client() as client:
        one = await client.delete(f"{API}/failed/job-1:0", headers=bearer())
        again = await client.delete(f"{API}/failed/job-1:0", headers=bearer())
        old = await client.post(f"{API}/failed/clear-old", json={"olderThanDays": 30}, headers=bearer())
        wrong = await client.post(f"{API}/failed/clear-old", json={"olderThanDays": 0}, headers=bearer())
    assert (one.json(), again.status_code) == ({"deleted": 1}, 404)
    assert (old.json(), wrong.status_code) == ({"deleted": 1}, 400)
    assert [left.letter_id for left in gateway.letters.letters] == ["job-3:0"]


async def test_postgres_away_is_503() -> None:
    gateway = gateway_with(died(1))
    gateway.letters.away = True
    async with gateway.client() as client:
        assert (await client.get(f"{API}/failed", headers=bearer())).status_code == 503
        answer = await client.post(f"{API}/failed/job-1:0/retry", headers=bearer())
    assert answer.status_code == 503
