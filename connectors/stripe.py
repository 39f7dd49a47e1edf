"""Stripe's API v1 at the wire: payments.

A payment is two requests. The first makes the PaymentIntent under the job's idempotency key and says
nothing of the card; the second confirms it with the card under a key of the job's own. A PaymentIntent
succeeds once at most, so one key never pays twice, whatever is lost in between; and after a declined card
another job with the same key may try another card, which one request under one key could not: Stripe would
repeat the first answer.

httpx, not the SDK: the SDK retries by itself and makes keys of its own, while here the job's key and the
job's retry policy decide. Every error leaves as one of ours:

| answer | error | code |
| --- | --- | --- |
| no connection, time-out | TransientError | `connection`, `timeout` |
| 429, 5xx | TransientError | `rate_limited`, `provider_500` |
| 409, `idempotency_key_in_use` | TransientError: an earlier call still runs there | same word |
| `card_error` | PermanentError | the decline code, else the code |
| 400 `idempotency_error` | PermanentError: the key was used with other parameters | `idempotency_conflict` |
| 401, 403 | PermanentError | `authentication` |
| any other 4xx | PermanentError | Stripe's code, else `invalid_request` |

A time-out leaves the outcome unknown; the next attempt sends the same key and so gets the first one's answer.
Stripe forgets keys after 30 days: within that span one key pays at most once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from schemas.errors import PermanentError, TransientError

API_VERSION = "2024-06-20"
CONNECT_TIMEOUT_S = 5.0
# Stripe's own clients wait 80 s; a payment job has 60 s in all, and a repeat is safe under its key.
READ_TIMEOUT_S = 30.0
# More connections than the limit group's calls at once, so that none waits here for another.
MAX_CONNECTIONS = 20

_AUTHENTICATION = (401, 403)
_TRANSIENT_CODES = ("idempotency_key_in_use", "lock_timeout")


@dataclass(frozen=True, slots=True)
class Payment:
    """A PaymentIntent as Stripe answered it. `charge_id` is None until there is a charge."""

    payment_id: str
    charge_id: str | None
    amount: int
    currency: str
    status: str


class Stripe:
    """A client of one Stripe account. Made without I/O; safe for many calls at once."""

    def __init__(
        self, secret_key: str, api_base: str, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._client = httpx.AsyncClient(
            base_url=api_base,
            headers={"Authorization": f"Bearer {secret_key}", "Stripe-Version": API_VERSION},
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
            transport=transport,
            # A proxy or a .netrc of the machine's must not see or change what is sent to the bank.
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close the connections; calls that run fail."""
        await self._client.aclose()

    async def pay(
        self,
        *,
        amount: int,
        currency: str,
        payment_method: str,
        metadata: Mapping[str, str],
        idempotency_key: str,
        try_key: str,
    ) -> Payment:
        """Charge the payment method, once per `idempotency_key`, however often and by whom this is called.

        Calls with the same `try_key` are the same try: they get its answer, whatever it was.
        Raises PermanentError when Stripe refuses, TransientError when another call may succeed.
        """
        intent = {
            "amount": str(amount),
            "currency": currency.lower(),
            "payment_method_types[]": "card",
            **{f"metadata[{name}]": value for name, value in metadata.items()},
        }
        made = await self._post("/v1/payment_intents", intent, idempotency_key)
        # The buyer is not there to be asked again: a payment that wants more from him fails at once.
        confirmation = {"payment_method": payment_method, "error_on_requires_action": "true"}
        key = f"{idempotency_key}-{try_key}"
        return payment_of(await self._post(f"/v1/payment_intents/{made['id']}/confirm", confirmation, key))

    async def _post(self, path: str, form: Mapping[str, str], idempotency_key: str) -> dict[str, Any]:
        try:
            response = await self._client.post(path, data=form, headers={"Idempotency-Key": idempotency_key})
        except httpx.TimeoutException as error:
            raise TransientError(f"Stripe did not answer in time: {path}", code="timeout") from error
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise TransientError(f"no answer from Stripe: {reason}", code="connection") from error
        if response.is_success:
            return body_of(response)
        if (paid := paid_before(response)) is not None:
            return paid
        raise error_of(response)


def paid_before(response: httpx.Response) -> dict[str, Any] | None:
    """The PaymentIntent of an answer that refuses to confirm it because it has succeeded already."""
    intent = _error_member(response).get("payment_intent")
    return intent if isinstance(intent, dict) and intent.get("status") == "succeeded" else None


def payment_of(answer: Mapping[str, Any]) -> Payment:
    """The payment in an answer."""
    return Payment(
        payment_id=answer["id"],
        charge_id=_charge_of(answer),
        amount=answer["amount"],
        currency=str(answer["currency"]).upper(),
        status=answer["status"],
    )


def _charge_of(answer: Mapping[str, Any]) -> str | None:
    charge = answer.get("latest_charge")
    return charge["id"] if isinstance(charge, dict) else charge


def body_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer; TransientError when it is none (a gateway in between answered)."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise TransientError(
            f"Stripe answered {response.status_code} without JSON", code=f"provider_{response.status_code}"
        )
    return body


def error_of(response: httpx.Response) -> TransientError | PermanentError:
    """What an answer that is no success means for the job."""
    status = response.status_code
    error = _error_member(response)
    code, kind = str(error.get("code") or ""), str(error.get("type") or "")
    text = f"Stripe answered {status}: {error.get('message') or response.reason_phrase}"
    if request := response.headers.get("request-id"):
        text += f" (request {request})"
    if status == 429 or status >= 500:
        word = "rate_limited" if status == 429 else f"provider_{status}"
        return TransientError(text, code=word, retry_after_s=retry_after_of(response))
    if status == 409 or code in _TRANSIENT_CODES:
        return TransientError(text, code=code or "conflict")
    if status in _AUTHENTICATION:
        code = "authentication"
    elif kind == "card_error":
        code = str(error.get("decline_code") or code or "card_declined")
    elif kind == "idempotency_error":
        code = "idempotency_conflict"
    return PermanentError(text, code=code or "invalid_request")


def _error_member(response: httpx.Response) -> dict[str, Any]:
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def retry_after_of(response: httpx.Response) -> float | None:
    """The seconds that `Retry-After` asks for; None when it is absent or a date."""
    try:
        return max(0.0, float(response.headers.get("retry-after", "")))
    except ValueError:
        return None
