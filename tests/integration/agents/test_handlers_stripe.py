"""Our client and handler against a Stripe that remembers: what is lost, refused or late is paid once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from connectors.stripe import Payment, Stripe
from schemas.errors import PermanentError, TransientError
from tests.integration.agents.emulators import emulator, free_port

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with emulator("stripe", f"{url}/_control", "--port", str(port)):
        yield url


@pytest.fixture
async def stripe(base: str) -> AsyncIterator[Stripe]:
    client = Stripe("sk_test_1", base)
    yield client
    await client.aclose()


class Control:
    """Steers and asks the emulator."""

    def __init__(self, base: str) -> None:
        self._base = base

    async def fault(self, kind: str, path: str = "") -> None:
        async with httpx.AsyncClient(base_url=self._base, timeout=60) as http:
            await http.post("/_control/faults", json=[{"kind": kind, "path": path}])

    async def paid(self, key: str) -> int:
        async with httpx.AsyncClient(base_url=self._base, timeout=60) as http:
            payments = (await http.get("/_control")).json()["payments"]
        return Counter(p["key"] for p in payments if p["status"] == "succeeded")[key]


@pytest.fixture
def control(base: str) -> Control:
    return Control(base)


async def pay(stripe: Stripe, key: str, attempt: int = 1, **changes: Any) -> Payment:
    given: dict[str, Any] = {
        "amount": 1000, "currency": "USD", "payment_method": "pm_card_visa", "metadata": {"n": "1"},
        "idempotency_key": key, "try_key": str(attempt),
    }  # fmt: skip
    return await stripe.pay(**{**given, **changes})


async def test_a_payment_is_made(stripe: Stripe, control: Control) -> None:
    payment = await pay(stripe, "plain")
    assert (payment.status, payment.amount, payment.currency) == ("succeeded", 1000, "USD")
    assert payment.charge_id is not None
    assert await control.paid("plain") == 1


@pytest.mark.parametrize("path", ["/payment_intents", "/confirm"])
@pytest.mark.parametrize("attempt", [1, 2], ids=["same try", "next attempt"])
async def test_an_answer_that_is_lost_is_paid_once(
    stripe: Stripe, control: Control, path: str, attempt: int
) -> None:
    key = f"lost-{path}-{attempt}"
    await control.fault("lost", path)
    with pytest.raises(TransientError) as caught:
        await pay(stripe, key)
    assert caught.value.code == "connection"
    assert (await pay(stripe, key, attempt)).status == "succeeded"
    assert await control.paid(key) == 1


async def test_the_emulator_would_show_a_payment_made_twice(stripe: Stripe, control: Control) -> None:
    await control.fault("lost", "/confirm")
    with pytest.raises(TransientError):
        await pay(stripe, "careless-1")
    await pay(stripe, "careless-2")  # a client that makes a new key for its second attempt
    assert await control.paid("careless-1") + await control.paid("careless-2") == 2


async def test_a_declined_card_is_final_with_its_decline_code(stripe: Stripe, control: Control) -> None:
    with pytest.raises(PermanentError) as caught:
        await pay(stripe, "poor", payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
    assert caught.value.code == "insufficient_funds"
    assert await control.paid("poor") == 0


async def test_after_a_decline_another_card_pays_under_the_same_key(stripe: Stripe, control: Control) -> None:
    with pytest.raises(PermanentError):
        await pay(stripe, "again", payment_method="pm_card_visa_chargeDeclined")
    assert (await pay(stripe, "again", 2)).status == "succeeded"
    assert await control.paid("again") == 1


async def test_too_many_requests_says_when_to_come_again(stripe: Stripe, control: Control) -> None:
    await control.fault("429")
    with pytest.raises(TransientError) as caught:
        await pay(stripe, "busy")
    assert (caught.value.code, caught.value.retry_after_s) == ("rate_limited", 1.0)
    assert (await pay(stripe, "busy")).status == "succeeded"


async def test_a_server_error_that_stripe_repeats_does_not_stop_the_next_attempt(
    stripe: Stripe, control: Control
) -> None:
    await control.fault("500", "/confirm")
    for _ in range(2):
        with pytest.raises(TransientError) as caught:
            await pay(stripe, "broken")
        assert caught.value.code == "provider_500"
    assert (await pay(stripe, "broken", 2)).status == "succeeded"
    assert await control.paid("broken") == 1


async def test_a_key_with_other_data_is_refused(stripe: Stripe, control: Control) -> None:
    await pay(stripe, "reused")
    with pytest.raises(PermanentError) as caught:
        await pay(stripe, "reused", amount=999)
    assert caught.value.code == "idempotency_conflict"
    assert await control.paid("reused") == 1


async def test_many_at_once_under_one_key_pay_once(stripe: Stripe, control: Control) -> None:
    tries = (pay(stripe, "crowd", number) for number in range(12))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert any(isinstance(outcome, Payment) for outcome in outcomes)
    assert all(isinstance(outcome, Payment | TransientError) for outcome in outcomes), outcomes
    assert await control.paid("crowd") == 1


async def test_a_wrong_secret_key_is_an_authentication_error(base: str) -> None:
    with pytest.raises(PermanentError) as caught:
        await pay(Stripe("wrong", base), "nobody")
    assert caught.value.code == "authentication"


async def test_nobody_there_is_transient() -> None:
    with pytest.raises(TransientError) as caught:
        await pay(Stripe("sk_test_1", f"http://127.0.0.1:{free_port()}"), "away")
    assert caught.value.code == "connection"
