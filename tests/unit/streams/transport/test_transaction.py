"""What becomes of a transaction that was aborted."""

import struct
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException, Message
from prometheus_client import CollectorRegistry

from streams.transport import transaction
from streams.transport.batch import Batch
from streams.transport.config import EngineConfig
from streams.transport.limits import Limits
from streams.transport.metrics import EngineMetrics
from streams.transport.owned import OwnedPartition
from streams.transport.transaction import Transactor

Report = Callable[[KafkaError | None, Message], None]
MEMBER = b"CGMDv2:" + struct.pack("<i", 3) + b"group\0member\0\0"
REFUSED = KafkaException(KafkaError(KafkaError._TIMED_OUT))


class Client:
    """A producer; each time it is flushed, the records before it get the next outcome, at last an offset."""

    made: "list[Client]"

    def __init__(self, _: object) -> None:
        self.made.append(self)
        self.outcomes: list[tuple[KafkaError | None, int | None]] = []
        self.begun, self.commits, self.failing = 0, 0, False
        self._reports: list[Report] = []

    def produce(self, *_: object, on_delivery: Report | None = None, **__: object) -> None:
        if on_delivery is not None:
            self._reports.append(on_delivery)

    def send_offsets_to_transaction(self, *_: object) -> None:
        if self.failing:
            self.failing = False
            raise REFUSED

    def flush(self, _: float) -> int:
        while self._reports:
            error, offset = self.outcomes.pop(0) if self.outcomes else (None, 7)
            record = Mock(spec=Message)
            record.offset.return_value = offset
            self._reports.pop()(error, record)
        return 0

    def commit_transaction(self, _: float) -> None:
        self.commits += 1

    def abort_transaction(self, limit_s: float) -> None:
        self.flush(limit_s)

    def init_transactions(self, _: float) -> None:
        """It is there at once."""

    def begin_transaction(self) -> None:
        self.begun += 1

    def purge(self) -> None:
        """Nothing waits."""


@pytest.fixture
def transactor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Transactor:
    Client.made = []
    monkeypatch.setattr(transaction, "Producer", Client)
    config = EngineConfig(bootstrap_servers="nowhere:1", instance="a", state_dir=tmp_path)
    made = Transactor(config, "app", lambda: MEMBER, EngineMetrics(CollectorRegistry()))
    made.connect()
    return made


def batch() -> Batch:
    made = Batch(OwnedPartition(0, Limits(1_000, dict), lambda _: None))
    made.outputs = [("out", b"v", b"k", 0, None)]
    return made


def test_it_is_made_again_by_the_same_producer(transactor: Transactor) -> None:
    (client,) = Client.made
    client.failing = True
    assert len(transactor.commit([batch()])) == 1
    assert [(one.begun, one.commits) for one in Client.made] == [(2, 1)]


def test_when_a_record_was_given_up_another_producer_makes_it_again(transactor: Transactor) -> None:
    """The first one's sequence numbers are no longer what the broker expects."""
    (client,) = Client.made
    client.failing, client.outcomes = True, [(KafkaError(KafkaError._PURGE_QUEUE), None)]
    assert len(transactor.commit([batch()])) == 1
    assert [(one.begun, one.commits) for one in Client.made] == [(1, 0), (1, 1)]


def test_a_record_without_an_offset_is_not_committed(transactor: Transactor) -> None:
    (client,) = Client.made
    client.outcomes = [(None, None)]
    assert len(transactor.commit([batch()])) == 1
    assert [(one.begun, one.commits) for one in Client.made] == [(2, 1)]
