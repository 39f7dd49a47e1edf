"""What a careless producer writes straight to Kafka: bytes that are no record, a job that does not hold."""

import asyncio
import uuid
from dataclasses import dataclass, field

from confluent_kafka import Message, Producer

from ops.demo.checks import Check, equal
from ops.demo.gateway import DemoError, Json
from ops.demo.scenario import World
from schemas.records import JobRequest
from streams.codec import Codec
from streams.settings import KafkaSettings
from streams.topics import Topology

Source = tuple[str, int, int]
LETTERS_LIMIT_S = 120.0


@dataclass
class Broken:
    """A poison record and an invalid one; both must stand among the dead letters, and stop nothing."""

    run: str
    kafka: KafkaSettings
    codec: Codec
    poison: Source | None = None
    invalid: Source | None = None
    letters: list[Json] = field(default_factory=list)

    async def send(self, world: World) -> None:
        """Past the gateway, with a plain producer."""
        topology = Topology.of(self.kafka)
        request = JobRequest(
            job_id=str(uuid.uuid4()),
            queue="money",
            type="payment-process",
            data='{"amount": "a lot"}',
            accepted_at=0,
        )
        records = [
            (topology.events, b"\xff this is no record"),
            (topology.job_requests, self.codec.encode(request)),
        ]
        self.poison, self.invalid = await asyncio.to_thread(_produce, self.kafka, records)

    async def check(self, world: World) -> list[Check]:
        """Both are dead letters that name their place and the reason."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LETTERS_LIMIT_S
        found: dict[Source, Json] = {}
        while not {self.poison, self.invalid} <= set(found) and loop.time() < deadline:
            found = {_source(letter): letter for letter in await world.gateway.dead_letters()}
            await asyncio.sleep(0.3)
        poison, invalid = (found.get(source or ("", 0, 0)) for source in (self.poison, self.invalid))
        reason = (invalid or {}).get("error", {}).get("message", "")
        return [
            equal("a poison record is a dead letter", poison is not None, True),
            equal("an invalid job is a dead letter that names the field", "amount" in reason, True),
        ]


def _source(letter: Json) -> Source:
    source = letter["source"]
    return source["topic"], source["partition"], source["offset"]


def _produce(kafka: KafkaSettings, records: list[tuple[str, bytes]]) -> list[Source]:
    """Where each record stands, in the same order."""
    stands: dict[int, Source] = {}
    producer = Producer({**kafka.client(), "acks": "all"})
    for index, (topic, value) in enumerate(records):

        def delivered(error: object, message: Message, index: int = index) -> None:
            if error is None:
                stands[index] = (message.topic() or "", message.partition() or 0, message.offset() or 0)

        producer.produce(topic, value, key=b"broken", on_delivery=delivered)
    producer.flush(10)
    if len(stands) != len(records):
        raise DemoError("Kafka did not take the broken records")
    return [stands[index] for index in range(len(records))]
