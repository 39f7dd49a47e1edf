"""Time limits that share a timer behave as those of asyncio."""

import asyncio
import time

import pytest

from agents.running.deadlines import Deadlines

LONG_S = 3_600.0


async def test_what_lasts_longer_than_its_limit_is_a_time_out() -> None:
    begun, deadline = time.monotonic(), Deadlines().after(0.02)
    with pytest.raises(TimeoutError), deadline:
        await asyncio.Event().wait()
    assert deadline.is_over
    assert time.monotonic() - begun >= 0.02


async def test_a_limit_that_is_left_in_time_cancels_nobody() -> None:
    limits = Deadlines()
    with limits.after(0.01):
        pass
    with pytest.raises(TimeoutError), limits.after(0.05):
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancel_from_elsewhere_is_no_time_out() -> None:
    async def work() -> None:
        with Deadlines().after(LONG_S):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_earlier_limit_ends_first_whatever_was_entered_first() -> None:
    limits, ended = Deadlines(), []

    async def work(seconds: float) -> None:
        try:
            with limits.after(seconds):
                await asyncio.Event().wait()
        except TimeoutError:
            ended.append(seconds)

    late = [asyncio.ensure_future(work(seconds)) for seconds in (LONG_S, 0.2, 0.01, 0.1)]
    async with asyncio.timeout(30):
        await asyncio.wait(late[1:])
    late[0].cancel()
    assert ended == [0.01, 0.1, 0.2]


async def test_work_that_swallows_its_cancel_and_returns_is_no_time_out() -> None:
    with Deadlines().after(0.01), pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
