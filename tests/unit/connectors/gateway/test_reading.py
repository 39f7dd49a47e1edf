"""GET /queues, /queues/:name/status, /failed."""

from connectors.gateway.identity import Role
from connectors.postgres.queries import FailedPage
from schemas.catalogue import QUEUES
from schemas.records import AttemptError, Failure
from tests.unit.connectors.gateway.fakes import API, NOW_MS, Gateway, bearer, letter, view


async def test_every_queue_is_listed_with_its_counts_and_dead_counts_as_failed() -> None:
    gateway = Gateway()
    gateway.status.by_state = {("robot", "waiting"): ["a", "b"], ("robot", "dead"): ["c"]}
    async with gateway.client() as client:
        body = (await client.get(f"{API}/queues", headers=bearer(Role.USER))).json()
    assert [queue["name"] for queue in body] == list(QUEUES)
    [robot] = [queue for queue in body if queue["name"] == "robot"]
    assert (robot["waiting"], robot["failed"], robot["dead"], robot["active"]) == (2, 1, 1, 0)


async def test_a_queues_samples_are_only_those_the_caller_may_see() -> None:
    gateway = Gateway()
    error = Failure("card_declined", "declined", False)
    gateway.status.jobs = {
        "a": view("a"), "b": view("b", user_id="bob"),
        "c": view("c", state="dead", error=error, finished_at=NOW_MS),
    }  # fmt: skip
    gateway.status.by_state = {("robot", "waiting"): ["a", "b"], ("robot", "dead"): ["c"]}
    async with gateway.client() as client:
        user = await client.get(f"{API}/queues/robot-queue/status", headers=bearer(Role.USER, "ada"))
        admin = await client.get(f"{API}/queues/robot/status", headers=bearer())
    assert user.json()["name"] == "robot"
    assert [sample["id"] for sample in user.json()["samples"]["waiting"]] == ["a"]
    assert [sample["id"] for sample in admin.json()["samples"]["waiting"]] == ["a", "b"]
    assert admin.json()["samples"]["failed"][0]["reason"] == "declined"
    assert admin.json()["metrics"]["dead"] == 1


async def test_an_unknown_queue_is_422_and_redis_away_503() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        assert (await client.get(f"{API}/queues/nowhere/status", headers=bearer())).status_code == 422
        gateway.status.away = True
        assert (await client.get(f"{API}/queues", headers=bearer())).status_code == 503


async def test_dead_letters_are_shown_without_their_bytes() -> None:
    gateway = Gateway()
    found = letter(
        job_id="j", queue="money", type="payment-process", data='{"amount":5}',
        errors=[AttemptError(1, NOW_MS, "card_declined", "declined")], traceparent="00-abc-def-01",
    )  # fmt: skip
    gateway.records.page = FailedPage([found], "next")
    async with gateway.client() as client:
        answer = await client.get(f"{API}/failed?queue=money-queue&limit=7&cursor=c", headers=bearer())
    [entry] = answer.json()["failed"]
    assert answer.json()["cursor"] == "next"
    assert gateway.records.asked == {
        "tenants": None, "queue": "money", "type": None, "cursor": "c", "limit": 7,
    }  # fmt: skip
    assert entry["error"] == {"class": "card_declined", "message": "declined", "retryable": False}
    assert entry["source"] == {"topic": "tier-1.urgent", "partition": 2, "offset": 7}
    assert (entry["data"], entry["traceId"]) == ({"amount": 5}, "abc")
    assert entry["attempts"][0]["at"] == "2027-01-15T08:00:00.000Z"
    assert "secret bytes" not in answer.text


async def test_a_venue_admin_is_shown_the_dead_letters_of_their_tenants_and_a_user_none() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        admin = await client.get(f"{API}/failed", headers=bearer(Role.VENUE_ADMIN, "v", "acme", "b"))
        user = await client.get(f"{API}/failed", headers=bearer(Role.USER, "ada", "acme"))
    assert (admin.status_code, user.status_code) == (200, 403)
    assert gateway.records.asked["tenants"] == ("acme", "b")


async def test_a_limit_outside_1_to_100_is_400() -> None:
    async with Gateway().client() as client:
        for limit in (0, 101, "x"):
            answer = await client.get(f"{API}/failed?limit={limit}", headers=bearer())
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
