"""The topics that are audited, and what their records are."""

from typing import Any

from confluent_kafka import Message

from connectors.audit.books import Place
from connectors.audit.judge import Where
from schemas.errors import ContractError
from schemas.records import DeadLetter, Event, JobRequest
from schemas.tiers import Tier
from streams.codec import Codec
from streams.topics import Topology

What = tuple[str, str]
"""Id and data of a record that came in; both empty for what is no record."""


class Contents:
    """Decodes; remembers what it could not."""

    def __init__(self, topology: Topology, codec: Codec) -> None:
        self._codec = codec
        self.ingress: dict[str, type[Any]] = {topology.events: Event, topology.job_requests: JobRequest}
        self.lanes = {lane: tier for tier in Tier for lane in topology.lanes(tier)}
        self.histories = {topology.lifecycle(tier): tier for tier in Tier}
        self.letters = {topology.dead_letters(tier): tier for tier in Tier}
        self.ingress_letters = topology.ingress_dead_letters
        self.undecodable: dict[Where, None] = {}

    def decoded(self, record: type[Any], message: Message) -> Any:
        """The record; None for a tombstone and for what is none, which is noted."""
        value = message.value()
        if value is None:
            return None
        try:
            return self._codec.decode(record, value if isinstance(value, bytes) else value.encode())
        except ContractError:
            place, offset = place_of(message)
            self.undecodable[(*place, offset)] = None
            return None

    def what(self, topic: str, raw: Any) -> What | None:
        """What came in by an ingress topic; None for a tombstone."""
        if raw is None:
            return None
        try:
            record = self._codec.decode(self.ingress[topic], raw)
        except ContractError:
            return "", ""
        return (record.event_id if isinstance(record, Event) else record.job_id), record.data

    def refused(self, letter: DeadLetter) -> What:
        """What the refused record was, as its own topic tells it; by the letter where it kept no bytes."""
        found = self.what(letter.source_topic, letter.value)
        return found if found is not None else (letter.job_id or "", letter.data or "")


def place_of(message: Message) -> tuple[Place, int]:
    """Where a record stands."""
    return (str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
