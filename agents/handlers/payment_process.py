"""`payment-process`: charges a buyer through Stripe."""

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

from agents.context import Context
from agents.handlers.registry import handles
from schemas.errors import PermanentError, TransientError
from schemas.payloads.money import PaymentProcess

if TYPE_CHECKING:
    # httpx is of no use to a worker without the key, and takes megabytes.
    from connectors.stripe import Payment

_TRANSACTIONS = uuid.UUID("5ab0ef6e-6c0a-5c86-9b36-3b1d2b4a9b7e")


@handles("payment-process", needs="stripe_secret_key")
async def payment_process(ctx: Context, data: PaymentProcess) -> dict[str, Any]:
    """The payment, made once per idempotency key, however often this runs.

    PermanentError with the decline code when the card is declined; TransientError when Stripe is away.
    """
    if ctx.providers.stripe is None:
        raise PermanentError("STRIPE_SECRET_KEY is not set", code="authentication")
    payment = await ctx.providers.stripe.pay(
        amount=data.amount,
        currency=data.currency,
        payment_method=data.payment_method,
        metadata=metadata_of(ctx, data),
        idempotency_key=ctx.idempotency_key,
        # Not the same for every attempt: Stripe repeats even a 500 to whoever brings its key again.
        try_key=f"{ctx.job.job_id}-{ctx.job.series}-{ctx.attempt}",
    )
    refuse_unfinished(payment)
    return {
        "transactionId": transaction_id(ctx.idempotency_key),
        "chargeId": payment.charge_id or payment.payment_id,
        "amount": payment.amount,
        "currency": payment.currency,
        "status": "completed",
        "processedAt": dt.datetime.now(dt.UTC).isoformat(),
    }


def transaction_id(idempotency_key: str) -> str:
    """The UUID of the payment of a key: the same for every attempt."""
    return str(uuid.uuid5(_TRANSACTIONS, idempotency_key))


def metadata_of(ctx: Context, data: PaymentProcess) -> dict[str, str]:
    """What stands beside the payment in Stripe's dashboard, by which a payment is found again.

    The same for every job of the key, else Stripe refuses the second; so the job's id is not in it.
    """
    return {
        "transaction_id": transaction_id(ctx.idempotency_key),
        "user_id": str(data.user_id),
        "venue_id": str(data.venue_id),
        "event_id": str(data.event_id),
    }


def refuse_unfinished(payment: "Payment") -> None:
    """Raise unless the money has moved."""
    if payment.status == "processing":
        text = f"Stripe is still processing {payment.payment_id}"
        raise TransientError(text, code="processing", retry_after_s=5.0)
    if payment.status != "succeeded":
        text = f"Stripe left {payment.payment_id} in status {payment.status}"
        raise PermanentError(text, code=payment.status)
