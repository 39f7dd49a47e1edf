"""Queue `money`: payments, refunds, payouts and NFTs. Amounts are integers in minor units."""

from typing import Any, Literal
from uuid import UUID

from schemas.payloads.contract import Contract, Currency, Minor, Name, Text


class PaymentProcess(Contract):
    """Charge a buyer."""

    user_id: UUID
    venue_id: UUID
    event_id: UUID
    amount: Minor
    currency: Currency = "USD"
    payment_method: Name
    device_fingerprint: Name | None = None
    metadata: dict[str, Any] | None = None


class RefundProcess(Contract):
    """Give a payment back, wholly or in part."""

    transaction_id: UUID
    amount: Minor
    reason: Text
    user_id: UUID
    venue_id: UUID


class PayoutProcess(Contract):
    """Send a venue its money."""

    venue_id: UUID
    amount: Minor
    bank_account_id: Name
    type: Literal["instant", "standard"]


class NftMint(Contract):
    """Mint the token of a ticket."""

    event_id: UUID
    ticket_id: UUID
    user_id: UUID
    venue_id: UUID
    metadata: dict[str, Any]
    seat_id: Name | None = None
    chain: Literal["solana", "polygon"] = "solana"


class NftTransfer(Contract):
    """Move a ticket's token to another wallet."""

    mint_address: Name
    from_wallet: Name
    to_wallet: Name
    ticket_id: UUID
