from collections.abc import Callable
from typing import Any

import httpx
import pytest

from connectors.stripe import Payment, Stripe, error_of
from schemas.errors import PermanentError, TransientError


def answer(status: int, headers: dict[str, str] | None = None, **error: Any) -> httpx.Response:
    return httpx.Response(status, json={"error": error}, headers=headers)


def client(handle: Callable[[httpx.Request], httpx.Response]) -> Stripe:
    return Stripe("sk_test_1", "http://stripe.test", transport=httpx.MockTransport(handle))


async def pay(stripe: Stripe) -> Payment:
    return await stripe.pay(
        amount=500, currency="EUR", payment_method="pm", metadata={"a": "b"}, idempotency_key="k", try_key="1"
    )


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (answer(402, type="card_error", code="card_declined", decline_code="lost_card"), "lost_card"),
        (answer(402, type="card_error", code="expired_card"), "expired_card"),
        (answer(400, type="idempotency_error"), "idempotency_conflict"),
        (answer(400, type="invalid_request_error", code="parameter_missing"), "parameter_missing"),
        (answer(400, type="invalid_request_error"), "invalid_request"),
        (answer(401), "authentication"),
        (answer(403, code="anything"), "authentication"),
        (answer(404, code="resource_missing"), "resource_missing"),
        (httpx.Response(418, text="<html>"), "invalid_request"),
    ],
)
def test_what_another_attempt_cannot_change_is_permanent(response: httpx.Response, code: str) -> None:
    error = error_of(response)
    assert isinstance(error, PermanentError)
    assert error.code == code


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (answer(429), "rate_limited"),
        (answer(500, type="api_error"), "provider_500"),
        (httpx.Response(502, text="<html>"), "provider_502"),
        (answer(409, type="idempotency_error", code="idempotency_key_in_use"), "idempotency_key_in_use"),
        (answer(409), "conflict"),
        (answer(400, code="lock_timeout"), "lock_timeout"),
    ],
)
def test_what_passes_is_transient(response: httpx.Response, code: str) -> None:
    error = error_of(response)
    assert isinstance(error, TransientError)
    assert error.code == code


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0.5", 0.5), ("-1", 0.0), ("soon", None)])
def test_retry_after_is_passed_on(header: str, seconds: float | None) -> None:
    error = error_of(answer(429, {"retry-after": header}))
    assert isinstance(error, TransientError)
    assert error.retry_after_s == seconds


def test_the_error_names_stripes_request() -> None:
    assert "(request req_9)" in str(error_of(answer(400, {"request-id": "req_9"})))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (httpx.ReadTimeout("slow"), "timeout"),
        (httpx.ConnectTimeout("slow"), "timeout"),
        (httpx.ConnectError("refused"), "connection"),
        (httpx.RemoteProtocolError("gone"), "connection"),
        (httpx.ReadError(""), "connection"),
    ],
)
async def test_no_answer_is_transient(error: httpx.HTTPError, code: str) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(TransientError) as caught:
        await pay(client(fail))
    assert caught.value.code == code


async def test_an_answer_that_is_no_json_is_transient() -> None:
    with pytest.raises(TransientError, match="without JSON"):
        await pay(client(lambda request: httpx.Response(200, text="<html>")))


async def test_a_payment_that_had_succeeded_before_is_that_payment() -> None:
    intent = {"id": "pi_1", "amount": 500, "currency": "eur", "status": "succeeded", "latest_charge": "ch_1"}

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/confirm"):
            return answer(400, code="payment_intent_unexpected_state", payment_intent=intent)
        return httpx.Response(200, json={**intent, "status": "requires_payment_method"})

    assert await pay(client(handle)) == Payment("pi_1", "ch_1", 500, "EUR", "succeeded")


async def test_a_payment_that_was_cancelled_is_none() -> None:
    intent = {"id": "pi_1", "amount": 500, "currency": "eur", "status": "canceled"}

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/confirm"):
            return answer(400, code="payment_intent_unexpected_state", payment_intent=intent)
        return httpx.Response(200, json=intent)

    with pytest.raises(PermanentError) as caught:
        await pay(client(handle))
    assert caught.value.code == "payment_intent_unexpected_state"


async def test_the_version_is_pinned_and_each_request_has_its_key() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        charge = {"id": "ch_1", "object": "charge"}
        return httpx.Response(
            200,
            json={
                "id": "pi",
                "amount": 500,
                "currency": "eur",
                "status": "succeeded",
                "latest_charge": charge,
            },
        )

    assert (await pay(client(handle))).charge_id == "ch_1"
    assert [request.headers["idempotency-key"] for request in seen] == ["k", "k-1"]
    assert {request.headers["stripe-version"] for request in seen} == {"2024-06-20"}
    assert {request.headers["authorization"] for request in seen} == {"Bearer sk_test_1"}
