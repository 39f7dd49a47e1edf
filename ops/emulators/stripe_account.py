"""What a Stripe account remembers and decides: payments, cards that decline, idempotency keys.

stripe-mock is stateless; this is the state. Idempotency is Stripe's: a key gives its first answer again,
whatever that was; with other parameters it is refused; while the first request runs it is in use; and a
request that did not begin to execute (wrong parameters, too many requests) leaves its key free.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]

# Stripe's test payment methods that are refused: decline code, code, message.
DECLINES = {
    "pm_card_visa_chargeDeclined": ("generic_decline", "card_declined", "Your card was declined."),
    "pm_card_chargeDeclined": ("generic_decline", "card_declined", "Your card was declined."),
    "pm_card_visa_chargeDeclinedInsufficientFunds": (
        "insufficient_funds",
        "card_declined",
        "Your card has insufficient funds.",
    ),
    "pm_card_chargeDeclinedExpiredCard": (None, "expired_card", "Your card has expired."),
}
# A request that the account refuses before it begins: nothing is remembered under its key.
NOT_BEGUN = (400, 401, 403, 404, 409, 429)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: Object


@dataclass(slots=True)
class _Keyed:
    fingerprint: str
    answer: Answer | None = None


@dataclass(slots=True)
class Account:
    """One account. Pure: no I/O, no clock."""

    payments: dict[str, Object] = field(default_factory=dict)
    made_by: dict[str, str] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    _keys: dict[str, _Keyed] = field(default_factory=dict)

    def begin(self, key: str, path: str, body: bytes) -> tuple[Answer, bool] | None:
        """A request under this key starts. Its answer, and whether that is a replay, if it needs no work."""
        fingerprint = hashlib.sha256(path.encode() + b"\0" + body).hexdigest()
        self.calls[key] += 1
        known = self._keys.get(key)
        if known is None:
            self._keys[key] = _Keyed(fingerprint)
            return None
        if known.fingerprint != fingerprint:
            text = (
                "Keys for idempotent requests can only be used with the parameters they were first used with."
            )
            return error(400, "idempotency_error", text), False
        if known.answer is None:
            text = "There is currently another in-progress request using this Idempotent Key."
            return error(409, "idempotency_error", text, code="idempotency_key_in_use"), False
        return known.answer, True

    def end(self, key: str, answer: Answer) -> None:
        """The request of this key has its answer."""
        if answer.status in NOT_BEGUN:
            self._keys.pop(key, None)
        else:
            self._keys[key].answer = answer

    def knows(self, payment_id: str) -> bool:
        """Whether there is such a payment."""
        return payment_id in self.payments

    def create(self, made: Object, form: Mapping[str, str], key: str | None) -> Answer:
        """A new PaymentIntent, shaped by stripe-mock."""
        if int(form["amount"]) < 1:
            text = "This value must be greater than or equal to 1."
            return error(400, "invalid_request_error", text, code="parameter_invalid_integer", param="amount")
        payment: Object = {
            **made,
            "amount": int(form["amount"]),
            "amount_received": 0,
            "currency": form["currency"].lower(),
            "status": "requires_confirmation" if form.get("payment_method") else "requires_payment_method",
            "latest_charge": None,
            "payment_method": form.get("payment_method"),
            "metadata": {
                name[len("metadata[") : -1]: value
                for name, value in form.items()
                if name.startswith("metadata[")
            },
            "last_payment_error": None,
        }
        self.payments[payment["id"]] = payment
        if key is not None:
            self.made_by[payment["id"]] = key
        return (
            self.confirm(payment["id"], form) if form.get("confirm") == "true" else Answer(200, dict(payment))
        )

    def confirm(self, payment_id: str, form: Mapping[str, str]) -> Answer:
        """Charge the card of a PaymentIntent; a payment that has succeeded cannot be confirmed again."""
        payment = self.payments[payment_id]
        method = form.get("payment_method") or payment["payment_method"]
        if payment["status"] == "succeeded":
            text = "You cannot confirm this PaymentIntent because it has already succeeded."
            code = "payment_intent_unexpected_state"
            return error(400, "invalid_request_error", text, code=code, payment_intent=dict(payment))
        if not method:
            return error(400, "invalid_request_error", "Missing payment_method.", code="parameter_missing")
        payment["payment_method"] = method
        if method in DECLINES:
            payment["status"] = "requires_payment_method"
            decline, code, text = DECLINES[method]
            more = {"decline_code": decline} if decline else {}
            return error(402, "card_error", text, code=code, payment_intent=dict(payment), **more)
        payment["status"], payment["amount_received"] = "succeeded", payment["amount"]
        payment["latest_charge"] = payment_id.replace("pi_", "ch_", 1)
        return Answer(200, dict(payment))

    def summary(self) -> Object:
        """What the tests ask: calls per key, and the payments with the key that made each."""
        paid = [payment for payment in self.payments.values() if payment["status"] == "succeeded"]
        shown = ("id", "amount", "currency", "status", "metadata", "payment_method")
        return {
            "calls": dict(self.calls),
            "payments": [
                {**{name: payment[name] for name in shown}, "key": self.made_by.get(payment["id"])}
                for payment in self.payments.values()
            ],
            "succeeded": len(paid),
            "received": sum(payment["amount_received"] for payment in paid),
        }


def error(status: int, kind: str, message: str, **members: object) -> Answer:
    """An error in Stripe's shape."""
    return Answer(status, {"error": {"type": kind, "message": message, **members}})
