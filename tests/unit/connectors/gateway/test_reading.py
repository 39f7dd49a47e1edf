"""GET /queues, /queues/:name/status."""

from connectors.gateway.identity import Role
from schemas.catalogue import QUEUES
from schemas.records import Failure
from tests.unit.connectors.gateway.fakes import API, NOW_MS, Gateway, bearer, view


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
