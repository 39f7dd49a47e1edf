"""Waiting for something to be so."""

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], bool], limit_s: float, every_s: float = 0.1) -> bool:
    """Ask again and again until it holds; False when it does not within the limit."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while True:
        if holds():
            return True
        if loop.time() > deadline:
            return False
        await asyncio.sleep(every_s)
