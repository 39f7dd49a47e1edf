"""What holds for every endpoint: problems, ids, headers, limits, roles, CORS, the document."""

import json
from typing import Any

import pytest
from litestar import Request

from connectors.gateway.body import MAX_DEPTH, MAX_MEMBERS, read_json
from connectors.gateway.identity import OpenMode, Role
from connectors.gateway.problems import Refusal
from connectors.gateway.roles import COOKIE
from streams.settings import GatewaySettings
from tests.unit.connectors.gateway.fakes import API, Gateway, bearer, formula

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("DELETE", f"{API}/jobs", 405, "method_not_allowed")],
)
async def test_even_what_no_route_takes_is_a_problem_with_a_request_id(
    method: str, path: str, status: int, code: str
) -> None:
    async with Gateway().client() as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["requestId"]


async def test_an_unforeseen_error_says_nothing_of_its_cause() -> None:
    gateway = Gateway()
    gateway.status.jobs = None  # type: ignore[assignment]
    async with gateway.client() as client:
        answer = await client.get(f"{API}/jobs/01a2042e-c61c-75c1-8a85-03812d0a8fb4", headers=bearer())
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "NoneType" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\tb", "<script>"])
async def test_a_malformed_request_id_is_replaced(given: str) -> None:
    async with Gateway().client() as client:
        answer = await client.get("/health/live", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] not in ("", given)


async def test_answers_carry_security_headers_and_no_server_name() -> None:
    async with Gateway().client() as client:
        headers = (await client.get("/")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


async def test_a_body_over_the_limit_is_413() -> None:
    settings = GatewaySettings.model_validate({"TIERFLOW_BODY_LIMIT": 1_000})
    async with Gateway(settings=settings).client() as client:
        answer = await client.post(f"{API}/jobs", json=formula(data={"text": "x" * 2_000}), headers=bearer())
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_body_that_does_not_tell_its_length_is_counted_while_it_comes() -> None:
    taken = 0

    async def receive() -> Any:
        nonlocal taken
        taken += 100
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    scope: Any = {
        "type": "http", "method": "POST", "path": "/", "query_string": b"", "state": {},
        "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    with pytest.raises(Refusal) as refused:
        await read_json(Request(scope, receive), limit=1_000)
    assert refused.value.status == 413
    assert taken == 1_100


@pytest.mark.parametrize(
    "data",
    [
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        json.dumps({f"k{n}": 1 for n in range(MAX_MEMBERS + 1)}),
        "NaN",
        '{"a":1',
        '"\\ud800"',
        "",
    ],
)
async def test_json_too_deep_too_wide_or_broken_is_400(data: str) -> None:
    body = f'{{"queue":"robot","type":"formula_calculation","data":{data}}}'
    async with Gateway().client() as client:
        answer = await client.post(f"{API}/jobs", content=body, headers={**bearer(), **JSON})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {"Content-Type": ""}, {**JSON, "Content-Encoding": "gzip"}],
)
async def test_a_body_that_is_not_plain_json_is_415(headers: dict[str, str]) -> None:
    async with Gateway().client() as client:
        answer = await client.post(f"{API}/jobs", content=b"{}", headers={**bearer(), **headers})
    assert answer.status_code == 415


ROLES = {
    ("POST", f"{API}/jobs"): {Role.USER, Role.VENUE_ADMIN, Role.ADMIN},
    ("POST", f"{API}/jobs/batch"): {Role.VENUE_ADMIN, Role.ADMIN},
    ("POST", f"{API}/events"): {Role.USER, Role.VENUE_ADMIN, Role.ADMIN},
    ("POST", f"{API}/events/bulk"): {Role.USER, Role.VENUE_ADMIN, Role.ADMIN},
    ("GET", f"{API}/jobs/x"): {Role.USER, Role.VENUE_ADMIN, Role.ADMIN},
    ("DELETE", f"{API}/jobs/x"): {Role.VENUE_ADMIN, Role.ADMIN},
    ("POST", f"{API}/jobs/x/retry"): {Role.VENUE_ADMIN, Role.ADMIN},
    ("GET", f"{API}/queues"): set(Role),
    ("POST", f"{API}/queues/money/pause"): {Role.ADMIN},
    ("POST", f"{API}/queues/money/resume"): {Role.ADMIN},
    ("POST", f"{API}/queues/money/clear"): {Role.ADMIN},
    ("GET", f"{API}/queues/money/status"): set(Role),
    ("GET", f"{API}/queues/money/jobs"): set(Role),
    ("GET", f"{API}/rate-limits/status/stripe"): set(Role),
    ("GET", f"{API}/rate-limits/check/stripe"): set(Role),
    ("POST", f"{API}/rate-limits/reset/stripe"): {Role.ADMIN},
    ("POST", f"{API}/rate-limits/emergency-stop"): {Role.ADMIN},
    ("POST", f"{API}/rate-limits/resume"): {Role.ADMIN},
    **{
        (method, f"{API}/failed{path}"): {Role.VENUE_ADMIN, Role.ADMIN}
        for method, paths in {
            "GET": ("", "/groups", "/stats", "/export", "/y", "/redrives", "/redrives/z"),
            "POST": ("/retry", "/y/retry", "/clear-old", "/redrives/z/stop"),
            "DELETE": ("/y",),
        }.items()
        for path in paths
    },
    ("GET", f"{API}/metrics/prometheus"): {Role.MONITORING, Role.ADMIN},
    ("GET", "/metrics"): {Role.MONITORING, Role.ADMIN},
}


@pytest.mark.parametrize(("method", "path"), ROLES)
async def test_each_endpoint_serves_its_roles_and_nobody_without_a_token(method: str, path: str) -> None:
    async with Gateway().client() as client:
        nobody = await client.request(method, path)
        served = {
            role
            for role in Role
            if (await client.request(method, path, headers=bearer(role, "u", "t"))).status_code != 403
        }
    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"] == "Bearer"
    assert served == ROLES[method, path]


async def test_every_route_of_the_document_is_in_the_role_table_or_open_to_all() -> None:
    async with Gateway().client() as client:
        document = (await client.get("/openapi.json")).json()
    documented = {
        (
            method.upper(),
            path.replace("{job_id}", "x")
            .replace("{name}", "money")
            .replace("{letter_id}", "y")
            .replace("{run_id}", "z")
            .replace("{key}", "stripe")
            .replace("{service}", "stripe"),
        )
        for path, item in document["paths"].items()
        for method in item
    }
    forms_of_metrics = {("GET", f"{API}/metrics")}
    closed = {route for route in documented if "/health" not in route[1]} - forms_of_metrics
    assert closed == set(ROLES)


async def test_the_document_names_the_members_of_a_job() -> None:
    async with Gateway().client() as client:
        document = (await client.get("/openapi.json")).json()
        page = await client.get("/docs")
    body = document["paths"][f"{API}/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["required"]) == {"queue", "type", "data"}
    assert "idempotencyKey" in body["properties"]["options"]["properties"]
    assert f"{API}/jobs/batch" in page.text
    assert "//cdn" not in page.text


async def test_the_token_may_come_as_a_cookie() -> None:
    token = bearer()["Authorization"].removeprefix("Bearer ")
    async with Gateway().client() as client:
        answer = await client.get(f"{API}/queues", headers={"Cookie": f"{COOKIE}={token}"})
    assert answer.status_code == 200


async def test_open_mode_serves_only_this_machines_own_names() -> None:
    gateway = Gateway(verifier=OpenMode(), loopback_only=True)
    async with gateway.client("http://localhost:3020") as client:
        assert (await client.get(f"{API}/queues")).status_code == 200
    async with gateway.client("http://rebound.example:3020") as client:
        assert (await client.get(f"{API}/queues")).status_code == 403


async def test_no_page_of_another_origin_may_call_unless_listed() -> None:
    origin = {"Origin": "https://app.example"}
    async with Gateway().client() as client:
        assert "access-control-allow-origin" not in (await client.get("/health/live", headers=origin)).headers
    async with Gateway(cors_origins=("https://app.example",)).client() as client:
        listed = await client.get("/health/live", headers=origin)
        other = await client.get("/health/live", headers={"Origin": "https://evil.example"})
    assert listed.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in other.headers


async def test_requests_are_measured_by_route_and_not_by_path() -> None:
    async with Gateway().client() as client:
        await client.get(f"{API}/queues/money/status", headers=bearer())
        await client.post(f"{API}/jobs", json=formula(), headers=bearer())
        await client.get("/some/random/path")
        text = (await client.get("/metrics", headers=bearer(Role.MONITORING))).text
    assert f'route="{API}/queues/{{name}}/status",status="200"' in text.replace('method="GET",', "")
    assert 'route="unmatched"' in text
    assert "random" not in text
    assert 'gateway_accepted_total{job_type="formula_calculation",queue_name="robot"} 1.0' in text
