"""What an output or a table write must respect so that its transaction can be committed."""

from collections.abc import Callable, Mapping

from streams.transport.errors import RecordTooLarge, UnknownTopic
from streams.transport.step import Headers

RESERVED_PREFIX = b"\x00\x00tierflow.position\x00"
"""Changelog keys of the engine itself (see `positions`): tables refuse them, other readers skip them."""


class Limits:
    """Refuses, in the handler that is to blame, what would stop the transactions of the whole process.

    `lookup` answers the partition counts of all topics; it may block for seconds and is asked again, at
    most, whenever an unknown topic is met.
    """

    def __init__(self, max_record_bytes: int, lookup: Callable[[], Mapping[str, int]]) -> None:
        self._max, self._lookup = max_record_bytes, lookup
        self._topics: Mapping[str, int] = {}

    def check(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, headers: Headers | None
    ) -> None:
        """Raise UnknownTopic or RecordTooLarge."""
        count = self._topics.get(topic)
        if count is None or partition >= count:
            self._refuse_unknown(topic, partition)
        size = (len(value) if value else 0) + (len(key) if key else 0)
        if headers:
            for name, content in headers:
                size += len(name) + len(content)
        if size > self._max:
            raise RecordTooLarge(f"an output to {topic} has {size} bytes, the limit is {self._max}")

    def check_entry(self, table: str, key: bytes, value: bytes | None) -> None:
        """Raise for a key or value that a changelog cannot hold."""
        if not isinstance(key, bytes) or not (value is None or isinstance(value, bytes)):
            raise TypeError(f"table {table} holds bytes, not {type(key).__name__}: {type(value).__name__}")
        if key.startswith(RESERVED_PREFIX):
            raise ValueError(f"table {table}: keys that start with {RESERVED_PREFIX!r} belong to the engine")
        size = len(key) + (len(value) if value else 0)
        if size > self._max:
            raise RecordTooLarge(f"an entry of table {table} has {size} bytes, the limit is {self._max}")

    def learn(self, counts: Mapping[str, int]) -> None:
        """Take over the partition counts of the cluster's topics."""
        self._topics = counts

    def _refuse_unknown(self, topic: str, partition: int) -> None:
        self.learn(self._lookup())
        count = self._topics.get(topic)
        if count is None:
            raise UnknownTopic(f"topic {topic} does not exist: create it before writing to it")
        if partition >= count:
            raise UnknownTopic(f"topic {topic} has {count} partitions, there is no partition {partition}")
