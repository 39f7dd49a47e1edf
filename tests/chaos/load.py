"""What a run sends: payments over HTTP, everything else straight to the topics, spread over its span.

Accepted is what a 201 or the broker's acknowledgement says; everything else is unknown, not refused.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
from confluent_kafka import KafkaError, Message, Producer

from connectors.kafka.registry import codec
from schemas.records import Event, JobRequest
from schemas.tiers import Tier
from streams.acknowledgement import ONE_REQUEST
from streams.settings import KafkaSettings
from streams.topics import Topology

DOCUMENTS = 40
HOT = "hot-document"
DECLINED = "pm_card_visa_chargeDeclined"
TRIES = 12
PAYMENT_SHARE, HOT_SHARE, POISON_EVERY = 0.06, 0.15, 500
TICK_S = 0.05


@dataclass
class Sent:
    """`accepted`: job id -> tier. `edits`: the acknowledged edits of a document, in order of acceptance.

    `repeated`: jobs that were handed in more than once, because there was no answer.
    """

    accepted: dict[str, int] = field(default_factory=dict)
    edits: dict[str, list[str]] = field(default_factory=dict)
    payments: dict[str, str] = field(default_factory=dict)
    poison: set[bytes] = field(default_factory=set)
    unknown: int = 0
    repeated: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)


class Load:
    """Sends `jobs` in `span_s`, whatever happens around it."""

    def __init__(self, kafka: KafkaSettings, gateway_url: str, seed: int, jobs: int, span_s: float) -> None:
        self.sent = Sent()
        self._url = f"{gateway_url}/api/v1/queue/jobs"
        self._dice, self._jobs, self._span_s = random.Random(f"load {seed}"), jobs, span_s
        self._run = uuid.UUID(int=self._dice.getrandbits(128), version=4)
        self._topology, self._codec = Topology.of(kafka), codec(kafka)
        # It may go on for as long as a broker is away; what it gives up is unknown.
        self._producer = Producer(
            {
                **kafka.client(),
                **ONE_REQUEST,
                "enable.idempotence": True,
                "delivery.timeout.ms": 120_000,
                "log_level": 2,
            }
        )
        self._lock = threading.Lock()

    def run(self) -> None:
        """Return when everything is accepted or unknown."""
        payments = round(self._jobs * PAYMENT_SHARE)
        paying = [threading.Thread(target=self._pay, args=(part, payments)) for part in range(4)]
        for thread in paying:
            thread.start()
        self._produce(self._jobs - payments)
        for thread in paying:
            thread.join()

    # -- straight to the topics

    def _produce(self, count: int) -> None:
        began = time.monotonic()
        for number in range(count):
            while number > (time.monotonic() - began) / self._span_s * count:
                self._producer.poll(TICK_S)
            self._one(number)
            if number % POISON_EVERY == 0:
                self._poison(number)
            self._producer.poll(0)
        self.sent.unknown += self._producer.flush(150)

    def _one(self, number: int) -> None:
        draw = self._dice.random()
        data: dict[str, Any]
        if draw < 0.6:
            hot = self._dice.random() < HOT_SHARE
            self._edit(number, HOT if hot else f"document-{self._dice.randrange(DOCUMENTS)}")
        elif draw < 0.8:
            data = {"eventType": f"chaos-{number}", "timestamp": "2026-01-01T00:00:00Z"}
            self._request(number, "background", "analytics-track", data, Tier.EPHEMERAL)
        else:
            document = f"document-{self._dice.randrange(DOCUMENTS)}"
            rules = [{"type": "required"}]
            data = {"documentId": document, "userId": "chaos", "cellIds": ["A1"], "rules": rules}
            self._request(number, "robot", "validation", data, Tier.IMPORTANT)

    def _edit(self, number: int, document: str) -> None:
        text = msgspec.json.encode({"cellId": "A1", "newValue": number}).decode()
        event = Event(self._id(number), "cell_update", document, "chaos", _now_ms(), text)

        def accepted() -> None:
            self.sent.accepted[event.event_id] = Tier.IMPORTANT
            self.sent.edits.setdefault(document, []).append(event.event_id)

        self._send(self._topology.events, document, self._codec.encode(event), accepted)

    def _request(self, number: int, queue: str, kind: str, data: dict[str, Any], tier: Tier) -> None:
        request = JobRequest(self._id(number), queue, kind, msgspec.json.encode(data).decode(), _now_ms())

        def accepted() -> None:
            self.sent.accepted[request.job_id] = tier

        key = str(data.get("documentId", request.job_id))
        self._send(self._topology.job_requests, key, self._codec.encode(request), accepted)

    def _poison(self, number: int) -> None:
        """No record at all, one of a schema that nobody knows, half a one, and one of another type."""
        events, requests = self._topology.events, self._topology.job_requests
        event = self._codec.encode(
            Event(self._id(20_000_000 + number), "cell_update", HOT, "poison", _now_ms(), "{}")
        )
        for topic, value in (
            (self._dice.choice((events, requests)), b"\xff poison %d" % number),
            (self._dice.choice((events, requests)), b"\xc3\x01" + b"unknown!" + b"%d" % number),
            (events, event[: len(event) // 2]),
            (requests, event),
        ):
            self._send(topic, "poison", value, lambda value=value: self.sent.poison.add(value))  # type: ignore[misc]

    def _send(self, topic: str, key: str, value: bytes, accepted: Callable[[], None]) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                accepted()
            else:
                self.sent.unknown += 1

        while True:
            try:
                self._producer.produce(topic, value, key.encode(), on_delivery=delivered)
                return
            except BufferError:
                self._producer.poll(TICK_S)

    # -- over HTTP

    def _pay(self, part: int, payments: int) -> None:
        began = time.monotonic()
        with httpx.Client(timeout=10.0, trust_env=False) as client:
            for number in range(part, payments, 4):
                while number > (time.monotonic() - began) / self._span_s * payments:
                    time.sleep(TICK_S)
                self._payment(client, number)

    def _payment(self, client: httpx.Client, number: int) -> None:
        """As a careful client does it: the same job id again until there is an answer."""
        job_id, data = self._id(10_000_000 + number), self._payment_data(number)
        body = {"queue": "money", "type": "payment-process", "data": data, "jobId": job_id}
        for attempt in range(TRIES):
            if attempt:
                time.sleep(1.0)
            try:
                answer = client.post(self._url, json=body)
            except httpx.HTTPError:
                continue
            if answer.status_code in (429, 500, 502, 503, 504):
                continue
            with self._lock:
                self._answered(job_id, data["eventId"], answer, attempt)
            return
        with self._lock:
            self.sent.unknown += 1

    def _answered(self, job_id: str, event_id: str, answer: httpx.Response, attempt: int) -> None:
        if attempt:
            self.sent.repeated.add(job_id)
        if answer.status_code in (200, 201):
            self.sent.accepted[job_id] = Tier.CRITICAL
            self.sent.payments[job_id] = event_id
        else:
            self.sent.refused.append(f"{answer.status_code} {answer.text[:300]}")

    def _payment_data(self, number: int) -> dict[str, Any]:
        def id_of(what: str) -> str:
            return str(uuid.uuid5(self._run, what))

        return {
            "userId": id_of(f"user {number % 50}"), "venueId": id_of("venue"),
            "eventId": id_of(f"event {number}"), "amount": 100 + number, "currency": "USD",
            "paymentMethod": DECLINED if number % 20 == 7 else "pm_card_visa",
        }  # fmt: skip

    def _id(self, number: int) -> str:
        return str(uuid.uuid5(self._run, f"job {number}"))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
