import json
from collections.abc import Callable
from urllib.parse import parse_qsl

import httpx
import pytest

from agents.handlers.payment_process import payment_process, transaction_id
from agents.providers import Providers
from connectors.stripe import Stripe
from schemas.errors import PermanentError, TransientError
from schemas.payloads.money import PaymentProcess
from tests.unit.agents.handlers.contexts import context, job

IDS = {
    name: f"00000000-0000-4000-8000-00000000000{n}" for n, name in enumerate(("userId", "venueId", "eventId"))
}
PAYMENT = PaymentProcess.parse(json.dumps({**IDS, "amount": 1250, "paymentMethod": "pm_card_visa"}))
INTENT = {"id": "pi_1", "amount": 1250, "currency": "usd", "status": "succeeded", "latest_charge": "ch_1"}


def stripe(answer: Callable[[httpx.Request], httpx.Response]) -> Providers:
    return Providers(stripe=Stripe("sk_test_1", "http://stripe.test", transport=httpx.MockTransport(answer)))


class Account:
    """Answers with a PaymentIntent in a given state and remembers what it was asked."""

    def __init__(self, status: str = "succeeded") -> None:
        self.status = status
        self.requests: list[tuple[str, str, dict[str, str]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = dict(parse_qsl(request.content.decode()))
        self.requests.append((request.url.path, request.headers["idempotency-key"], form))
        return httpx.Response(200, json={**INTENT, "status": self.status})


async def test_the_result_has_the_shape_that_clients_know() -> None:
    account = Account()
    result = await payment_process(context(job("payment-process"), providers=stripe(account)), PAYMENT)
    assert {name: result[name] for name in ("chargeId", "amount", "currency", "status")} == {
        "chargeId": "ch_1",
        "amount": 1250,
        "currency": "USD",
        "status": "completed",
    }
    assert result["transactionId"] == transaction_id(f"tf-{job().job_id}")
    assert result["processedAt"].endswith("+00:00")


async def test_every_attempt_and_job_of_a_key_makes_the_same_intent() -> None:
    account = Account()
    first = job("payment-process", idempotency=b"k" * 16, job_id="one")
    other = job("payment-process", idempotency=b"k" * 16, job_id="other")
    for of, attempt in ((first, 1), (first, 2), (other, 1)):
        await payment_process(context(of, providers=stripe(account), attempt=attempt), PAYMENT)
    made = [request for request in account.requests if request[0] == "/v1/payment_intents"]
    assert len(made) == 3
    assert made[0] == made[1] == made[2]
    assert made[0][1] == f"tf-{(b'k' * 16).hex()}"


async def test_each_attempt_confirms_under_a_key_of_its_own() -> None:
    account = Account()
    for attempt in (1, 2):
        await payment_process(context(job(), providers=stripe(account), attempt=attempt), PAYMENT)
    keys = [key for path, key, _ in account.requests if path.endswith("/confirm")]
    assert len(set(keys)) == 2


async def test_the_card_is_named_only_when_the_intent_is_confirmed() -> None:
    account = Account()
    await payment_process(context(providers=stripe(account)), PAYMENT)
    (_, _, made), (path, _, confirmed) = account.requests
    assert "payment_method" not in made
    assert path == "/v1/payment_intents/pi_1/confirm"
    assert confirmed["payment_method"] == "pm_card_visa"


async def test_a_payment_that_is_still_processed_is_asked_for_again() -> None:
    with pytest.raises(TransientError) as caught:
        await payment_process(context(providers=stripe(Account("processing"))), PAYMENT)
    assert caught.value.retry_after_s == 5.0


async def test_money_that_has_not_moved_is_no_success() -> None:
    with pytest.raises(PermanentError) as caught:
        await payment_process(context(providers=stripe(Account("requires_capture"))), PAYMENT)
    assert caught.value.code == "requires_capture"


async def test_without_credentials_nothing_is_simulated() -> None:
    with pytest.raises(PermanentError, match="STRIPE_SECRET_KEY"):
        await payment_process(context(), PAYMENT)
