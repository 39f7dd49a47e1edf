"""From the records of a lane to what the core takes in; what is no job becomes a dead letter."""

from collections.abc import Callable

from confluent_kafka import Message

from agents.letters import undecodable
from schemas.commands import cancel_of, is_command
from schemas.errors import ContractError, DecodeError
from schemas.priorities import Lane
from schemas.records import Job
from schemas.tiers import Tier
from streams.codec import Codec
from streams.core.cancels import mark_place
from streams.core.entry import Entry, position
from streams.core.ports import Time
from streams.transport.step import Chunk, Step


class Arrivals:
    """Reads the lanes of one tier."""

    def __init__(self, dead_letters: str, tier: Tier, codec: Codec, present: Callable[[], Time]) -> None:
        self._dead_letters, self._tier, self._codec, self._present = dead_letters, tier, codec, present

    def entries(self, chunk: Chunk, lane: Lane) -> list[Entry]:
        """The jobs of a chunk in their order, each with its open step."""
        entries = []
        for message, step in chunk.split():
            entry = self._entry(message, step, lane)
            if entry is not None:
                entries.append(entry)
        return entries

    def _entry(self, message: Message, step: Step, lane: Lane) -> Entry | None:
        raw, offset = message.value(), message.offset()
        assert offset is not None
        try:
            if raw is None:
                raise DecodeError.of("value", "a record without a value")
            job = self._codec.decode(Job, raw)
            place = (
                mark_place(cancel_of(job).job_id)
                if is_command(job)
                else position(job.ordering_key, lane.value, offset)
            )
        except ContractError as error:
            with step:
                letter = undecodable(message, self._tier.value, error, self._present().wall)
                step.send(
                    self._dead_letters, self._codec.encode(letter), letter.key, message.partition() or 0
                )
            return None
        return Entry(job, place, message.partition() or 0, step)
