"""Money: payments of real amounts (share prices), declined cards, a payment sent twice, a key used twice."""

import uuid
from collections import Counter
from dataclasses import dataclass, field

from ops.demo.checks import Check, equal, none_of
from ops.demo.gateway import Json, data_of
from ops.demo.scenario import World
from ops.demo.tables import table

PAYMENTS, TWICE = 60, 10
DECLINED = {
    "pm_card_visa_chargeDeclined": "generic_decline",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_chargeDeclinedExpiredCard": "expired_card",
}


@dataclass
class Payments:
    """Everything that is paid; `paid` is what must have arrived at Stripe in the end."""

    run: str
    first: list[str] = field(default_factory=list)
    second: dict[str, str] = field(default_factory=dict)
    declined: dict[str, str] = field(default_factory=dict)
    retried: str = ""
    paid: list[int] = field(default_factory=list)

    async def send(self, world: World) -> None:
        """Sixty payments, ten of them a second time at once, three cards that are declined."""
        prices = table("stocks")["price"].head(PAYMENTS)
        jobs = [self._job(number, round(price * 100)) for number, price in enumerate(prices)]
        self.paid += [job["data"]["amount"] for job in jobs]
        ids = await world.gateway.jobs("money", [*jobs, *jobs[:TWICE]])
        self.first = ids[:PAYMENTS]
        self.second = dict(zip(ids[PAYMENTS:], self.first, strict=False))
        cards = [self._job(100 + n, 1000 + n, card) for n, card in enumerate(DECLINED)]
        codes = DECLINED.values()
        self.declined = dict(zip(await world.gateway.jobs("money", cards), codes, strict=True))

    def _job(self, number: int, amount: int, card: str = "pm_card_visa") -> Json:
        def id_of(what: str) -> str:
            return str(uuid.uuid5(uuid.NAMESPACE_URL, f"tierflow-demo/{self.run}/{what}"))

        data = {
            "userId": id_of(f"buyer/{number}"),
            "venueId": id_of("venue"),
            "eventId": id_of("event"),
            "amount": amount,
            "currency": "USD",
            "paymentMethod": card,
        }
        return {"type": "payment-process", "data": data}

    async def check(self, world: World) -> list[Check]:
        """Each payment once, at us and at Stripe; the declined ones dead; the second ones duplicates."""
        again = await self._again(world)
        shown = await world.gateway.shown([*self.first, *self.second, *self.declined, self.retried])
        unpaid = [
            f"{job_id}: {shown[job_id]['state']}" for job_id in self.first if not _is_paid(shown[job_id])
        ]
        doubled = [
            f"{job_id}: {shown[job_id]['state']} of {shown[job_id].get('duplicateOf')}"
            for job_id, first in self.second.items()
            if (shown[job_id]["state"], shown[job_id].get("duplicateOf")) != ("duplicate", first)
        ]
        declined = [
            f"{job_id}: {shown[job_id].get('error')}"
            for job_id, code in self.declined.items()
            if (shown[job_id].get("error") or {}).get("class") != code
        ]
        return [
            none_of("payments complete", "payments", unpaid, len(self.first)),
            none_of("a payment sent twice is a duplicate", "second sends", doubled, len(self.second)),
            none_of(
                "declined cards are dead with the decline code", "declined", declined, len(self.declined)
            ),
            *again,
            equal("another card pays what was declined", shown[self.retried]["state"], "completed"),
            *await self._at_stripe(world),
        ]

    async def _again(self, world: World) -> list[Check]:
        """Send a completed payment again, its key with other data, and a declined one with another card."""
        await world.gateway.shown([self.first[0]])
        same = await self._answer(world, self._job(0, self.paid[0]))
        key = {"options": {"idempotencyKey": f"demo-{self.run}"}}
        _, first = await world.gateway.job("money", self._job(200, 500) | key)
        await world.gateway.shown([first["jobId"]])
        other = await self._answer(world, self._job(200, 501) | key)
        _, retried = await world.gateway.job("money", self._job(100, 1000))
        self.retried = retried["jobId"]
        self.paid += [500, 1000]
        return [
            equal("a completed payment sent again names the first", same, ("duplicate", self.first[0])),
            equal("its key with other data is refused", other, ("refused", "idempotency_conflict")),
        ]

    async def _answer(self, world: World, job: Json) -> tuple[str, str | None]:
        """What a repeat comes to.

        The gateway says it at once when its status store answers in time (200, 422); where that does not,
        the job is accepted and the worker says it: what is promised is the same answer from one of them.
        """
        status, answer = await world.gateway.job("money", job)
        if status == 200:
            return answer["status"], answer["jobId"]
        if status == 422:
            return "refused", answer["code"]
        if status != 201:
            return str(status), None
        ended = (await world.gateway.shown([answer["jobId"]]))[answer["jobId"]]
        error = (ended.get("error") or {}).get("class")
        return ("refused", error) if ended["state"] == "dead" else (ended["state"], ended.get("duplicateOf"))

    async def _at_stripe(self, world: World) -> list[Check]:
        account = (await world.stripe.get("/_control")).json()
        ours = [
            p for p in account["payments"] if p["metadata"]["venue_id"] == self._job(0, 1)["data"]["venueId"]
        ]
        paid = [payment for payment in ours if payment["status"] == "succeeded"]
        per_key = Counter(payment["key"] for payment in paid)
        return [
            equal("Stripe was paid", Counter(p["amount"] for p in paid), Counter(self.paid)),
            none_of(
                "no key paid twice", "keys at Stripe", [k for k, n in per_key.items() if n > 1], len(per_key)
            ),
        ]


def _is_paid(job: Json) -> bool:
    data = data_of(job) or {}
    return job["state"] == "completed" and data.get("status") == "completed" and bool(data.get("chargeId"))
