"""Orders to queues: who may give them, what goes to the topic, and what a queue shows of them."""

from typing import Any

import pytest

from connectors.gateway.identity import Role
from schemas.records import Control
from tests.unit.connectors.gateway.fakes import API, CODEC, NOW_MS, Gateway, bearer, view

TIME = "2027-01-15T08:00:00.000Z"


async def ordered(
    path: str, gateway: Gateway | None = None, role: Role = Role.ADMIN
) -> tuple[int, Any, list[Any]]:
    """The answer, and key and order of every record that was sent."""
    gateway = gateway or Gateway()
    async with gateway.client() as client:
        answer = await client.post(f"{API}/queues/{path}", headers=bearer(role, "ada", "acme"))
    sent = [(r.topic, r.key, CODEC.decode(Control, r.value)) for r in gateway.producer.sent]
    return answer.status_code, answer.json(), sent


async def test_a_pause_is_an_order_under_the_name_of_the_queues_gate() -> None:
    status, answer, sent = await ordered("money/pause?reason=fraud")
    assert status == 200
    assert answer == {"queue": "money", "paused": True, "at": TIME, "by": "ada", "reason": "fraud"}
    assert sent == [("t.control", b"queue:money", Control("pause", "money", NOW_MS, "ada", None, "fraud"))]


async def test_a_resume_replaces_the_pause() -> None:
    status, answer, sent = await ordered("money/resume")
    assert (status, answer["paused"]) == (200, False)
    assert [(key, order.action) for _, key, order in sent] == [(b"queue:money", "resume")]


async def test_one_type_of_a_queue_has_a_gate_of_its_own() -> None:
    _, answer, sent = await ordered("communication/resume?jobType=email-send")
    assert answer["jobType"] == "send-email"
    assert [(key, order.type) for _, key, order in sent] == [(b"type:send-email", "send-email")]


async def test_an_alias_of_a_queue_is_its_queue() -> None:
    _, answer, _ = await ordered("claude-code-tasks/pause")
    assert answer["queue"] == "agent-tasks"


@pytest.mark.parametrize("action", ["pause", "resume", "clear?type=wait"])
@pytest.mark.parametrize("role", [Role.USER, Role.VENUE_ADMIN, Role.MONITORING])
async def test_only_an_admin_gives_orders(action: str, role: Role) -> None:
    status, _, sent = await ordered(f"money/{action}", role=role)
    assert (status, sent) == (403, [])


@pytest.mark.parametrize("path", ["nope/pause", "money/pause?jobType=nope"])
async def test_an_unknown_queue_or_type_is_refused(path: str) -> None:
    status, answer, sent = await ordered(path)
    assert (status, answer["code"], sent) == (422, "unknown_type", [])


async def test_no_order_is_given_while_kafka_is_away() -> None:
    gateway = Gateway()
    gateway.producer.away = True
    status, answer, _ = await ordered("money/pause", gateway)
    assert (status, answer["code"]) == (503, "unavailable")


@pytest.mark.parametrize(
    ("word", "state"), [("wait", "waiting"), ("waiting", "waiting"), ("delayed", "delayed")]
)
async def test_a_clear_cancels_what_was_accepted_up_to_now(word: str, state: str) -> None:
    status, answer, sent = await ordered(f"robot/clear?type={word}")
    assert (status, answer) == (202, {"queue": "robot", "cleared": [state], "before": TIME, "by": "ada"})
    ((_, key, order),) = sent
    assert key == f"clear:robot:*:{state}".encode()
    assert (order.action, order.before, order.state) == ("clear", NOW_MS, state)


async def test_a_clear_of_everything_wants_the_queues_name_once_more() -> None:
    status, answer, sent = await ordered("robot/clear")
    assert (status, answer["code"], sent) == (400, "invalid", [])
    status, answer, sent = await ordered("robot/clear?confirm=robot")
    assert (status, len(sent)) == (202, 1)
    assert answer["cleared"] == ["waiting", "delayed", "completed", "failed", "dead"]


async def test_a_clear_of_ended_jobs_forgets_their_counts_and_orders_nothing() -> None:
    gateway = Gateway()
    gateway.status.by_state["robot", "completed"] = ["j"]
    status, answer, sent = await ordered("robot/clear?type=completed", gateway)
    assert (status, answer["cleared"], sent) == (202, ["completed"], [])
    assert gateway.status.by_state == {}


async def test_an_unknown_state_is_refused() -> None:
    status, answer, _ = await ordered("robot/clear?type=active")
    assert (status, answer["errors"][0]["field"]) == (400, "type")


async def test_a_queue_shows_what_stands_still_and_who_ordered_it() -> None:
    gateway = Gateway()
    gateway.orders.take("queue:money", Control("pause", "money", NOW_MS, "ada"))
    gateway.orders.take(
        "type:refund-process", Control("pause", "money", NOW_MS, "worker", "refund-process", "deaths")
    )
    async with gateway.client() as client:
        every = (await client.get(f"{API}/queues", headers=bearer())).json()
        one = (await client.get(f"{API}/queues/money/status", headers=bearer())).json()
    assert {queue["name"] for queue in every if queue["paused"] or queue["held"]} == {"money"}
    assert (one["paused"], one["held"]) == (True, ["refund-process"])
    assert one["orders"] == [
        {"at": TIME, "by": "ada"},
        {"at": TIME, "by": "worker", "jobType": "refund-process", "reason": "deaths"},
    ]


async def test_the_jobs_of_a_state_come_in_pages_and_only_the_callers_own() -> None:
    gateway = Gateway()
    gateway.status.by_state["robot", "dead"] = ["a", "b", "c", "d"]
    gateway.status.jobs = {name: view(name, state="dead", tenant_id="acme") for name in ("a", "b", "d")}
    gateway.status.jobs["c"] = view("c", state="dead", tenant_id="other", user_id="eve")
    headers = bearer(Role.VENUE_ADMIN, "ada", "acme")
    async with gateway.client() as client:
        first = await client.get(f"{API}/queues/robot/jobs?status=failed&end=0", headers=headers)
        rest = await client.get(f"{API}/queues/robot/jobs?status=dead&start=1&end=3", headers=headers)
        wrong = await client.get(f"{API}/queues/robot/jobs?status=nope", headers=headers)
    assert [job["id"] for job in first.json()] == ["a"]
    assert [job["id"] for job in rest.json()] == ["b", "d"]
    assert wrong.status_code == 400
