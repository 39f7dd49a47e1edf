"""Ends an emulator with the process that it was started for, however that ends."""

import asyncio

from ops.stack.process import created_at, lives

LOOK_EVERY_S = 0.5


async def ended(pid: int | None) -> None:
    """Return when this process has ended; never without one."""
    if pid is None:
        await asyncio.Event().wait()
        return
    created = created_at(pid)
    while True:
        if not lives(pid, created):
            return
        await asyncio.sleep(LOOK_EVERY_S)
