"""When the committer commits."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from prometheus_client import CollectorRegistry

from streams.transport.batch import Batch
from streams.transport.committer import Committer
from streams.transport.config import EngineConfig
from streams.transport.metrics import EngineMetrics

COMMIT_S = 0.03
BUSY = 10


class Slow:
    """A transaction thread in which each commit takes as long; `begun` are the moments they began at."""

    def __init__(self) -> None:
        self.begun: list[float] = []

    async def call(self, _: Callable[..., object], batches: list[Batch]) -> list[Batch]:
        self.begun.append(time.monotonic())
        await asyncio.sleep(COMMIT_S)
        return batches


async def begun(records: int, path: Path, linger_s: float, linger_max_s: float) -> list[float]:
    """When two transactions of so many records began, of which there is always another."""
    partition: Any = Mock()
    partition.take.side_effect = lambda: Mock(records=records, changes=[])
    thread: Any = Slow()
    config = EngineConfig(
        bootstrap_servers="nowhere:1", instance="a", state_dir=path,
        busy_records=BUSY, linger_s=linger_s, linger_max_s=linger_max_s,
    )  # fmt: skip
    metrics = EngineMetrics(CollectorRegistry())
    committer = Committer(config, Mock(), thread, lambda: [partition], Mock(), metrics)
    running = asyncio.create_task(committer.run())
    while len(thread.begun) < 2:
        committer.work_done(1)
        await asyncio.sleep(0.001)
    running.cancel()
    return list(thread.begun)


async def test_under_load_a_transaction_is_filled_for_longer_where_committing_takes_long(
    tmp_path: Path,
) -> None:
    # The time counts from a moment between these two: the loop may stand still after it.
    started = time.monotonic()
    _, second = await begun(BUSY + 1, tmp_path, linger_s=0.001, linger_max_s=60.0)
    assert second - started >= 3 * COMMIT_S


async def test_but_for_no_longer_than_is_set(tmp_path: Path) -> None:
    committing = asyncio.create_task(begun(BUSY + 1, tmp_path, linger_s=3_600.0, linger_max_s=COMMIT_S))
    first, second = await asyncio.wait_for(committing, 30)
    assert second - first >= COMMIT_S


async def test_without_load_nothing_is_waited_for(tmp_path: Path) -> None:
    committing = asyncio.create_task(begun(BUSY, tmp_path, linger_s=3_600.0, linger_max_s=3_600.0))
    assert len(await asyncio.wait_for(committing, 30)) == 2


async def test_there_is_room_until_a_full_transaction_waits(tmp_path: Path) -> None:
    partition: Any = Mock()
    partition.take.return_value = Mock(records=10, changes=[])
    config = EngineConfig(bootstrap_servers="nowhere:1", instance="a", state_dir=tmp_path, batch_records=10)
    metrics = EngineMetrics(CollectorRegistry())
    thread: Any = Slow()
    committer = Committer(config, Mock(), thread, lambda: [partition], Mock(), metrics)
    committer.work_done(9)
    await asyncio.wait_for(committer.room(), 30)
    committer.work_done(1)
    waiting = asyncio.ensure_future(committer.room())
    done, _ = await asyncio.wait([waiting], timeout=COMMIT_S)
    assert not done
    committing = asyncio.create_task(committer.run())
    await asyncio.wait_for(waiting, 30)
    assert len(thread.begun) == 1
    committing.cancel()
