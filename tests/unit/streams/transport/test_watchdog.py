"""The watchdog ends a process that hangs, and none that was only stopped or busy."""

import asyncio
import threading
import time
from pathlib import Path

import pytest

from streams.transport.config import EngineConfig
from streams.transport.errors import Exit
from streams.transport.watchdog import ShutdownLimit, Stall, Watchdog


def config(exits: list[int], **changes: float) -> EngineConfig:
    return EngineConfig(
        bootstrap_servers="nowhere:1", instance="a", state_dir=Path("unused"), exit=exits.append, **changes  # type: ignore[arg-type]
    )  # fmt: skip


def wait_for(exits: list[int], limit_s: float = 60.0) -> list[int]:
    deadline = time.monotonic() + limit_s
    while not exits and time.monotonic() < deadline:
        time.sleep(0.01)
    return exits


def test_a_stall_is_counted_in_ticks_without_progress() -> None:
    stall = Stall(limit_s=3.0, tick_s=1.0)
    assert [stall.tick("a") for _ in range(4)] == [False, False, False, True]


def test_progress_starts_the_count_anew() -> None:
    stall = Stall(limit_s=2.0, tick_s=1.0)
    assert [stall.tick(seen) for seen in ("a", "a", "b", "b", "b")] == [False, False, False, False, True]


def test_nothing_stalls_while_nothing_waits() -> None:
    stall = Stall(limit_s=1.0, tick_s=1.0)
    assert not any(stall.tick("a", waiting=False) for _ in range(9))
    assert [stall.tick("a"), stall.tick("a")] == [True, True]


async def test_a_transactional_call_that_hangs_ends_the_process() -> None:
    exits: list[int] = []
    dog = Watchdog(config(exits, transaction_stuck_s=1.0), asyncio.get_running_loop(), lambda: (7, 6))
    dog.begin()
    assert await asyncio.to_thread(wait_for, exits) == [Exit.TRANSACTION_STUCK]


async def test_a_loop_that_stands_still_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    exits: list[int] = []
    dog = Watchdog(config(exits, loop_stuck_s=1.0), asyncio.get_running_loop(), lambda: (6, 6))
    dog.begin()
    wait_for(exits)  # blocks the loop on purpose
    assert exits == [Exit.LOOP_STUCK]
    assert "wait_for" in caplog.text


async def test_a_process_at_work_is_left_alone() -> None:
    exits: list[int] = []
    calls = [0]

    def progress() -> tuple[int, int]:
        calls[0] += 1
        return calls[0], calls[0] - 1

    dog = Watchdog(
        config(exits, loop_stuck_s=1.0, transaction_stuck_s=1.0), asyncio.get_running_loop(), progress
    )
    dog.begin()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 2.2)
    dog.stop()
    assert exits == []


def test_a_shutdown_that_takes_too_long_is_cut_short() -> None:
    exits: list[int] = []
    ShutdownLimit(config(exits, shutdown_s=0.05)).begin()
    assert wait_for(exits) == [Exit.SHUTDOWN_STUCK]


def test_a_shutdown_in_time_is_not() -> None:
    exits: list[int] = []
    limit = ShutdownLimit(config(exits, shutdown_s=0.3))
    limit.begin()
    limit.end()
    for thread in threading.enumerate():
        if thread.name == "shutdown-limit":
            thread.join(60)
    assert exits == []
