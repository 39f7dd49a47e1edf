"""`/rate-limits/*` without Kafka: what a row means to its reader, and which orders leave."""

from typing import Any

import pytest

from connectors.gateway.identity import Role
from schemas.limits import GROUPS
from schemas.records import Granted, LimitRequest, RateLimit, SlotHolder
from tests.unit.connectors.gateway.fakes import API, CODEC, NOW_MS, Gateway, bearer

HOLDER = SlotHolder("worker-1", 1, 7, held=2, renewed=0, granted=[Granted(8, 1)])


def row(**members: Any) -> RateLimit:
    given = {
        "group": "stripe",
        "at": NOW_MS - 100,
        "milli_tokens": 20_000,
        "log_time": 0,
        "holders": [HOLDER],
    }
    return RateLimit(**{**given, **members})


async def asked(path: str, *rows: RateLimit) -> Any:
    gateway = Gateway(rate_limits={one.group: one for one in rows})
    async with gateway.client() as client:
        answer = await client.get(f"{API}/rate-limits/{path}", headers=bearer(Role.USER))
        assert answer.status_code == 200, answer.text
        return answer.json()


def orders_of(gateway: Gateway) -> list[tuple[str, str | None, str | None]]:
    found = [CODEC.decode(LimitRequest, sent.value) for sent in gateway.producer.sent]
    assert [sent.key for sent in gateway.producer.sent] == [order.group.encode() for order in found]
    return [(order.group, order.order, order.by) for order in found]


async def test_the_status_counts_what_the_bucket_has_gained_since_the_row_was_written() -> None:
    status = (await asked("status/stripe", row(milli_tokens=9_800)))["stripe"]
    assert (status["tokensAvailable"], status["concurrent"], status["maxConcurrent"]) == (11, 3, 10)
    assert status["config"] == {
        "maxPerSecond": 25.0, "maxConcurrent": 10, "burstSize": 50, "cooldownMs": 1000,
        "requestsPerAttempt": 2,
    }  # fmt: skip


async def test_calls_of_a_worker_that_is_silent_are_not_shown_as_running() -> None:
    silent = row(log_time=9_800), row(log_time=10_000)
    shown = [(await asked("status/stripe", one))["stripe"]["concurrent"] for one in silent]
    assert shown == [3, 0]


async def test_an_open_circuit_whose_time_is_over_is_half_open() -> None:
    for until, circuit in ((NOW_MS + 1, "open"), (NOW_MS, "half_open")):
        opened = row(circuit="open", open_until=until)
        assert (await asked("status/stripe", opened))["stripe"]["circuit"] == circuit


async def test_a_member_is_shown_as_its_group_under_the_name_that_was_asked_for() -> None:
    assert (await asked("status/stripe-refunds", row()))["stripe-refunds"]["concurrent"] == 3


async def test_a_group_that_was_never_used_is_free() -> None:
    assert (await asked("status/twilio"))["twilio"]["tokensAvailable"] == 9
    assert await asked("check/twilio") == {
        "service": "twilio", "rateLimited": False, "waitTimeMs": 0, "waitTimeSeconds": 0, "reason": None,
    }  # fmt: skip


async def test_a_stopped_group_lets_nothing_run() -> None:
    status = (await asked("status/stripe", row(stopped=True, stopped_by="ada")))["stripe"]
    assert (status["maxConcurrent"], status["stopped"], status["stoppedBy"]) == (0, True, "ada")


@pytest.mark.parametrize(
    ("members", "reason", "wait_ms"),
    [
        ({}, None, 0),
        ({"stopped": True}, "stopped", None),
        ({"closed_until": NOW_MS + 1_500}, "cooldown", 1_500),
        ({"circuit": "open", "open_until": NOW_MS + 9_000}, "open", 9_000),
        ({"milli_tokens": 0, "at": NOW_MS}, "rate", 80),
        ({"holders": [HOLDER] * 4}, "concurrent", 100),
    ],
)
async def test_a_check_says_why_a_call_would_wait_and_how_long(
    members: dict[str, Any], reason: str | None, wait_ms: int | None
) -> None:
    answer = await asked("check/stripe", row(**members))
    assert (answer["reason"], answer["waitTimeMs"]) == (reason, wait_ms)
    assert answer["rateLimited"] is (reason is not None)


async def test_a_stop_of_everything_is_one_transaction_over_all_groups() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        answer = await client.post(f"{API}/rate-limits/emergency-stop", headers=bearer(Role.ADMIN, "ada"))
    assert answer.json()["services"] == sorted(GROUPS)
    assert orders_of(gateway) == [(group, "stop", "ada") for group in sorted(GROUPS)]
    assert gateway.producer.batches == [len(GROUPS)]


@pytest.mark.parametrize(("path", "order"), [("emergency-stop", "stop"), ("resume", "resume")])
async def test_one_provider_may_be_named_by_a_member(path: str, order: str) -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        answer = await client.post(
            f"{API}/rate-limits/{path}", headers=bearer(Role.ADMIN, "ada"), json={"service": "twilio-sms"}
        )
        again = await client.post(
            f"{API}/rate-limits/{path}?service=twilio", headers=bearer(Role.ADMIN, "ada")
        )
    assert answer.json() == again.json()
    assert answer.json()["services"] == ["twilio"]
    assert orders_of(gateway) == [("twilio", order, "ada")] * 2


async def test_a_reset_names_its_provider() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        answer = await client.post(f"{API}/rate-limits/reset/stripe", headers=bearer(Role.ADMIN, "ada"))
    assert (answer.status_code, answer.json()["status"]) == (200, "reset")
    assert orders_of(gateway) == [("stripe", "reset", "ada")]


@pytest.mark.parametrize("path", ["emergency-stop", "resume", "reset/stripe"])
@pytest.mark.parametrize("role", [Role.USER, Role.VENUE_ADMIN, Role.MONITORING])
async def test_only_an_admin_gives_orders(path: str, role: Role) -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        answer = await client.post(f"{API}/rate-limits/{path}", headers=bearer(role))
    assert answer.status_code == 403
    assert gateway.producer.sent == []


async def test_an_unknown_provider_and_an_unknown_member_of_the_body_are_refused() -> None:
    async with Gateway().client() as client:
        unknown = await client.get(f"{API}/rate-limits/status/paypal", headers=bearer(Role.USER))
        wrong = await client.post(
            f"{API}/rate-limits/resume", headers=bearer(Role.ADMIN), json={"servize": "stripe"}
        )
    assert (unknown.status_code, wrong.status_code) == (422, 400)


async def test_an_order_that_kafka_did_not_take_was_not_given() -> None:
    gateway = Gateway()
    gateway.producer.away = True
    async with gateway.client() as client:
        answer = await client.post(f"{API}/rate-limits/emergency-stop", headers=bearer(Role.ADMIN))
    assert answer.status_code == 503
