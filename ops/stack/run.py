"""Runs a stack in this process until it is told to stop: what `tierflow up` does in the foreground."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping

from ops.stack.errors import StackError
from ops.stack.folder import FolderLock
from ops.stack.local_stack import LocalStack, Wish
from ops.stack.preflight import require
from ops.stack.progress import Say
from ops.stack.state import StackState, read

LEFTOVER_LIMIT_S = 20.0
KILL_LIMIT_S = 5.0


def run(wish: Wish, environment: Mapping[str, str], say: Say, ready: Callable[[StackState], None]) -> bool:
    """Start the stack, call `ready`, stop it at SIGINT, SIGTERM or SIGHUP. False when stopped before ready.

    StackError when it does not come up; nothing is left running then.
    """
    require(environment)
    wish.folder.create()
    lock = FolderLock(wish.folder)
    try:
        _end_leftovers(wish, say)
        return asyncio.run(_run(wish, environment, say, ready))
    finally:
        lock.release()


async def _run(
    wish: Wish, environment: Mapping[str, str], say: Say, ready: Callable[[StackState], None]
) -> bool:
    stack = LocalStack(wish, environment, say)
    asked_to_stop = _on_signals(stack, say)
    starting = asyncio.create_task(stack.start())
    stopping = asyncio.create_task(asked_to_stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return False
        starting.result()
        ready(stack.state())
        await stopping
        return True
    finally:
        stopping.cancel()
        starting.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        await stack.stop()


def _on_signals(stack: LocalStack, say: Say) -> asyncio.Event:
    """Return what the first signal sets. The second one kills the parts instead of waiting for them."""
    asked = asyncio.Event()

    def stop(number: signal.Signals) -> None:
        if asked.is_set():
            say(f"{number.name} again: every part is killed")
            stack.kill()
        else:
            say(f"{number.name}: stopping")
            asked.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # `nohup` ignores SIGHUP for us: that stays so.
        if not (number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN):
            loop.add_signal_handler(number, stop, number)
    return asked


def _end_leftovers(wish: Wish, say: Say) -> None:
    """Wait for parts whose supervisor was killed; they are ending. What does not end is killed."""
    before = read(wish.folder.state)
    left = before.leftovers() if before else []
    if not before or not left:
        return
    say(f"waiting for {', '.join(part.name for part in left)} of a stack that was killed")
    if _all_end(before, LEFTOVER_LIMIT_S):
        return
    for part in before.leftovers():
        assert part.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(part.pid, signal.SIGKILL)
    if not _all_end(before, KILL_LIMIT_S):
        names = ", ".join(f"{part.name} (pid {part.pid})" for part in before.leftovers())
        raise StackError(f"still running from before: {names}")


def _all_end(before: StackState, limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while before.leftovers():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
