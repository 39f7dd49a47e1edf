"""Records that do not follow what was read: believed when they come a second time."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest
from confluent_kafka import Message, TopicPartition
from prometheus_client import CollectorRegistry

from connectors.consuming import loop
from connectors.consuming.loop import Consuming
from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.positions import Move, Place
from tests.unit.connectors.postgres.builders import message

TOPIC, PLACE = "t", ("t", 0)
Fetched = Sequence[int] | Callable[[Any], None]


class Client:
    """A consumer that fetches what the script says: offsets of a partition, or a change of the group."""

    def __init__(self, script: list[Fetched], over: Callable[[], None]) -> None:
        self._script, self._over = script, over
        self.sought: list[int] = []

    def subscribe(self, _: Any, on_assign: Any, on_revoke: Any, on_lost: Any) -> None:
        self.assigned, self.revoked = on_assign, on_revoke

    def consume(self, *_: Any) -> list[Message]:
        if not self._script:
            self._over()
            return []
        step = self._script.pop(0)
        if callable(step):
            step(self)
            return []
        return [message(TOPIC, offset, b"x") for offset in step]

    def seek(self, to: TopicPartition) -> None:
        self.sought.append(to.offset)

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        return 0, 100

    def nothing(self, *_: Any, **__: Any) -> None:
        """As the client's own; there is nothing to do here."""

    incremental_assign = resume = pause = commit = close = nothing


class Target:
    name = "postgres"

    def __init__(self) -> None:
        self.written: list[int] = []

    def positions(self, places: Collection[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, self.written[-1] + 1 if self.written else 5)

    def write(self, messages: Sequence[Message], moves: Sequence[Move]) -> int:
        self.written += [one.offset() or 0 for one in messages]
        return len(messages)

    def close(self) -> None:
        pass


def given(client: Client) -> None:
    client.assigned(client, [TopicPartition(*PLACE)])


def group_changed(client: Client) -> None:
    client.assigned(client, [])


@pytest.mark.parametrize(
    ("script", "written", "sought"),
    [
        ([[5, 6], [7]], [5, 6, 7], []),
        # A wrong start: what was skipped comes after the seek.
        ([[6, 7], [5, 6, 7]], [5, 6, 7], [5]),
        # Markers: the same a second time.
        ([[6, 7], [6, 7]], [6, 7], [5]),
        # Later gaps are markers, until the group changes.
        ([[5, 8]], [5, 8], []),
        ([[5], group_changed, [8, 9], [6, 8, 9]], [5, 6, 8, 9], [6]),
        ([[5], group_changed, [8, 9], [8, 9]], [5, 8, 9], [6]),
    ],
)
def test_a_gap_at_the_start_of_a_fetch_is_sought_once_more(
    monkeypatch: pytest.MonkeyPatch, script: list[Fetched], written: list[int], sought: list[int]
) -> None:
    target = Target()
    consuming = Consuming({}, [TOPIC], target, ConsumingMetrics(CollectorRegistry()))
    # A turn more, in which the last is written.
    client = Client([given, *script, []], consuming.stop)
    monkeypatch.setattr(loop, "Consumer", lambda _: client)
    consuming.run()
    consuming.close()
    assert (target.written, client.sought) == (written, sought)
