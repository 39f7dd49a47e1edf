"""Topics in memory: one partition each, as a reader of committed records sees them."""

from collections import defaultdict

from streams.transport.step import Headers, Output


class Stored:
    """A record as a consumer gets it; the members are those of confluent-kafka's Message."""

    __slots__ = ("_headers", "_key", "_offset", "_topic", "_value")

    def __init__(
        self, topic: str, offset: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        self._topic, self._offset, self._key, self._value = topic, offset, key, value
        self._headers = list(headers)

    def topic(self) -> str:
        """Its topic."""
        return self._topic

    def partition(self) -> int:
        """There is one."""
        return 0

    def offset(self) -> int:
        """Its place."""
        return self._offset

    def key(self) -> bytes | None:
        """Its key."""
        return self._key

    def value(self) -> bytes | None:
        """Its bytes."""
        return self._value

    def headers(self) -> list[tuple[str, bytes]]:
        """Its headers."""
        return self._headers


class Topics:
    """Every topic by name."""

    def __init__(self) -> None:
        self._records: defaultdict[str, list[Stored]] = defaultdict(list)

    def append(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers | None = None
    ) -> None:
        """Write one record."""
        log = self._records[topic]
        log.append(Stored(topic, len(log), key, value, headers or ()))

    def carry_out(self, outputs: list[Output]) -> None:
        """What a transaction carried becomes visible."""
        for topic, value, key, _, headers in outputs:
            self.append(topic, value, key, headers)

    def since(self, topic: str, offset: int) -> list[Stored]:
        """The records of a topic from an offset on."""
        return self._records[topic][offset:]
