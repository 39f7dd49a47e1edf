"""Owned partitions without Kafka."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.transport.limits import Limits
from streams.transport.owned import OwnedPartition, Phase
from streams.transport.rocks import RocksStore, shared_cache
from streams.transport.store import MemoryStore, Store
from streams.transport.table_partition import TablePartition
from streams.transport.tracker import Tracker

DAY_S = 86_400.0
TOPICS = {"out": 4, "source": 4}


@pytest.fixture(params=["memory", "rocksdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store: each test that takes it runs with both kinds."""
    made: Store
    made = MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "s", shared_cache(), DAY_S)
    yield made
    made.close()


@pytest.fixture
def limits() -> Limits:
    """A cluster with the topics `out` and `source`, records of 1,000 bytes at most."""
    return Limits(1_000, lambda: TOPICS)


@pytest.fixture
def new_owned(limits: Limits) -> Callable[[], OwnedPartition]:
    """Makes open partitions 2 of topic `source` at offset 10 with table `t`."""

    def make() -> OwnedPartition:
        owned = OwnedPartition(2, limits, lambda records: None)
        owned.trackers["source"] = Tracker("source", 2, 10)
        owned.tables["t"] = TablePartition("t", "t-changelog", 2, MemoryStore(), keeps_positions=True)
        owned.phase = Phase.OPEN
        return owned

    return make


@pytest.fixture
def owned(new_owned: Callable[[], OwnedPartition]) -> OwnedPartition:
    """One of them."""
    return new_owned()
