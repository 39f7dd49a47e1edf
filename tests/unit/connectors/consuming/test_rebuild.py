"""Filling a target from fixed spans of the topics."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, cast

import pytest
from confluent_kafka import Message

from connectors.consuming import rebuild
from connectors.consuming.positions import Move, Place
from connectors.consuming.rebuild import fill
from connectors.consuming.target import TargetAwayError
from connectors.kafka.reading import Reader, Span
from tests.unit.connectors.postgres.builders import message

TOPIC = "t"


class Logs:
    """Reads spans of a log in which every offset is a record."""

    def read(self, spans: Iterable[Span], batch_records: int = 5) -> Iterator[list[Message]]:
        for span in spans:
            yield [message(TOPIC, at, b"x") for at in range(span.start, span.end)]


class Hesitating:
    """A target that is away at some of the writes."""

    name = "hesitating"

    def __init__(self, away: Collection[int]) -> None:
        self._away, self._writes = away, 0
        self.offsets: list[int] = []

    def positions(self, places: Collection[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, len(self.offsets))

    def write(self, messages: Sequence[Message], moves: Sequence[Move]) -> int:
        self._writes += 1
        if self._writes in self._away:
            raise TargetAwayError("it is busy")
        self.offsets += [one.offset() or 0 for one in messages]
        return len(messages)

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "_AWAY_S", 0.0)


def filled(target: Hesitating) -> Any:
    return fill(cast(Reader, Logs()), target, [Span(TOPIC, 0, 0, 10)], batch_records=2)


def test_a_target_that_hesitates_is_filled_on_from_where_it_stands() -> None:
    target = Hesitating(away=[1, 3])
    filled(target)
    assert target.offsets == list(range(10))


def test_a_target_that_stays_away_ends_the_filling() -> None:
    with pytest.raises(TargetAwayError):
        filled(Hesitating(away=range(100)))
