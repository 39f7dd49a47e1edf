"""The providers' limits as the limiter has them: every gateway reads the table's changelog, each for itself.

What it knows is shown also while Kafka is away.
"""

from collections.abc import Mapping

from confluent_kafka import Message

from schemas.errors import DecodeError
from schemas.limits import GROUPS
from schemas.records import RateLimit
from streams.codec import Codec
from streams.log import get
from streams.settings import KafkaSettings
from streams.tail import Tail
from streams.topics import Topology

log = get("tierflow.limits")


class LimitRows:
    """`rows` is what is known, by group; a group that was never used is not there."""

    def __init__(self, kafka: KafkaSettings, topology: Topology, codec: Codec) -> None:
        self._codec = codec
        self._rows: dict[str, RateLimit] = {}
        places = [(topology.rate_limits, number) for number in range(topology.partitions)]
        self._tail = Tail("limit-rows", kafka, places, self._take)

    @property
    def rows(self) -> Mapping[str, RateLimit]:
        """The rows as they are now; the same object for ever."""
        return self._rows

    def start(self) -> None:
        """Start reading. Does not wait for a broker."""
        self._tail.start()

    async def close(self) -> None:
        """Stop reading."""
        await self._tail.close()

    def _take(self, message: Message) -> None:
        raw = message.value()
        group = (message.key() or b"").decode(errors="replace")
        if raw is not None and group in GROUPS:  # other keys are the engine's own
            try:
                self._rows[group] = self._codec.decode(RateLimit, raw)
            except DecodeError as wrong:
                log.warning("no row of a limit", offset=message.offset(), reason=str(wrong))
