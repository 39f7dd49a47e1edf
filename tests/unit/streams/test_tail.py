"""One reader's way through topics: from the first record on, and anew after an error for good."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError

from streams import tail
from streams.settings import KafkaSettings
from streams.tail import Tail

LIMIT_S = 30


class Polled:
    """What a poll gives: a record's value, or an error."""

    def __init__(
        self, value: bytes | None = None, error: KafkaError | None = None, partition: int = 0
    ) -> None:
        self._value, self._error, self._partition = value, error, partition

    def value(self) -> bytes | None:
        return self._value

    def error(self) -> KafkaError | None:
        return self._error

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self._partition


def end(partition: int) -> Polled:
    return Polled(error=KafkaError(KafkaError._PARTITION_EOF), partition=partition)


class Client:
    """Consumers that follow a script, one life after the other; then nothing comes any more."""

    def __init__(self, *lives: list[Polled]) -> None:
        self.lives, self.assigned, self.closed = deque(lives), [], 0  # type: ignore[var-annotated]

    def __call__(self, config: dict[str, Any]) -> "Client":
        self._script = deque(self.lives.popleft() if self.lives else [])
        return self

    def assign(self, places: list[Any]) -> None:
        self.assigned.append([(place.topic, place.partition, place.offset) for place in places])

    def poll(self, timeout_s: float) -> Polled | None:
        if not self._script:
            threading.Event().wait(min(timeout_s, 0.01))
            return None
        return self._script.popleft()

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> "Read":
    """Reads a script on two partitions until the last of `expected` came; what came is in `values`."""
    monkeypatch.setattr(tail, "_AGAIN_S", 0.0)

    def run(*lives: list[Polled], until: str) -> tuple[Client, list[str]]:
        client, told, done = Client(*lives), [], threading.Event()
        monkeypatch.setattr(tail, "Consumer", client)

        def tell(word: str) -> None:
            told.append(word)
            if word == until:
                done.set()

        reader = Tail(
            "test", KafkaSettings.model_validate({}), [("t", 0), ("t", 1)],
            lambda message: tell((message.value() or b"").decode()), lambda: tell("end"),
        )  # fmt: skip
        reader.start()
        assert done.wait(LIMIT_S), told
        asyncio.run(reader.close())
        return client, told

    return run


Read = Callable[..., tuple[Client, list[str]]]


@pytest.mark.parametrize("wrong", [KafkaError(KafkaError._FATAL, "gone", fatal=True), KafkaError(3)])
def test_after_an_error_for_good_or_a_missing_topic_all_is_read_anew(read: Read, wrong: KafkaError) -> None:
    client, told = read(
        [Polled(b"a"), Polled(error=wrong), Polled(b"lost")], [Polled(b"a"), Polled(b"b")], until="b"
    )
    assert told == ["a", "a", "b"]
    assert client.assigned == [[("t", 0, OFFSET_BEGINNING), ("t", 1, OFFSET_BEGINNING)]] * 2
    assert client.closed == 2


def test_an_error_that_passes_ends_nothing(read: Read) -> None:
    away = Polled(error=KafkaError(KafkaError._TRANSPORT, "a broker is away"))
    client, told = read([Polled(b"a"), away, Polled(b"b")], until="b")
    assert (told, len(client.assigned)) == (["a", "b"], 1)


def test_the_end_is_told_when_every_partition_has_come_to_it_and_only_once(read: Read) -> None:
    script = [end(0), Polled(b"a"), end(0), end(1), Polled(b"b"), end(0), end(1), Polled(b"c")]
    assert read(script, until="c")[1] == ["a", "end", "b", "c"]
