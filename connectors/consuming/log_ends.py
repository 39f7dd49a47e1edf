"""Where a partition's log begins and ends, asked when what was read does not follow our position."""

from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from connectors.consuming.positions import Place
from streams.log import get

log = get(__name__)

_TIMEOUT_S = 5.0


class LogEnds:
    """Asks the brokers through a consumer. Blocks for a few seconds at most."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    def is_new(self, place: Place, position: int) -> bool:
        """Whether the log ends before our position: it was made again, and is read from its start."""
        _, end = self._ask(place)
        if end is None or end >= position:
            return False
        log.error("the log ends before our position, reading it anew", topic=place[0], partition=place[1],
                  position=position, end=end)  # fmt: skip
        return True

    def lost(self, place: Place, position: int) -> int:
        """How many offsets after our position the log no longer has; markers leave gaps that are no loss."""
        start, _ = self._ask(place)
        if start is None or position == 0 or start <= position:
            return 0
        log.error("LOSS: the log no longer has these offsets", topic=place[0], partition=place[1],
                  position=position, log_start=start)  # fmt: skip
        return start - position

    def behind(self, place: Place, position: int) -> int:
        """Records after our position, as of the last fetch; asks nobody."""
        _, end = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
        return max(0, end - position) if end >= 0 else 0

    def _ask(self, place: Place) -> tuple[int | None, int | None]:
        try:
            start, end = self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=_TIMEOUT_S)
        except KafkaException:
            return None, None
        return start, end
