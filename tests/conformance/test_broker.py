"""One of three brokers killed: nothing is lost or doubled, and the group goes on within seconds."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.run import Case, run
from tests.stack import TestStack

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestStack]:
    """Three nodes of our own; its supervisor starts a killed one again."""
    with TestStack(tmp_path_factory.mktemp("cluster"), "--infrastructure", "--brokers", "3") as stack:
        yield stack


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("mode", "protocol"), [("async", "consumer"), ("inline", "classic")])
def test_a_killed_broker_leaves_no_trace(
    cluster: TestStack, tmp_path: Path, seed: int, mode: str, protocol: str
) -> None:
    dice = random.Random(seed)

    def kill_one() -> str:
        broker = dice.choice([part for part in cluster.state.parts if part.name.startswith("kafka-")])
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGKILL)
        return broker.name

    case = Case(scenario="broker", seed=seed, mode=mode, protocol=protocol, store="rocksdb", sources=3)
    report = run(case, str(cluster.state.kafka_bootstrap), tmp_path, kill_one, replication=3)
    print(report)
    assert report.proof.holds, report
    assert report.finished, report
    assert not report.hung, report
