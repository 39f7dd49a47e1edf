"""One running process: started on a leash with a log file, asked for its health, stopped in its own way.

Usable without a supervisor, for instance by the demo and by tests:

    async with running(part, log, guard) as process: ...
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import BinaryIO

import psutil

from ops.stack.errors import PartFailedError, StackError
from ops.stack.health import ask
from ops.stack.leash import Guard, leashed
from ops.stack.part import Part

LOG_LIMIT_BYTES = 10_000_000
ASK_EVERY_S = 0.1


class Process:
    """A started part. Make it with `start`, from the main thread."""

    def __init__(self, part: Part, child: asyncio.subprocess.Process, log: Path, guard: Guard) -> None:
        self.part = part
        self.pid = child.pid
        self.created = created_at(child.pid)
        self.log = log
        self._child = child
        self._guard = guard

    async def ended(self) -> int:
        """Wait for the end; return the exit status, negative for a signal. Kills what it left behind."""
        status = await self._child.wait()
        self._guard.forget(self.pid)
        self.kill_group()
        return status

    def alive(self) -> bool:
        """Say whether the process has not ended yet."""
        return self._child.returncode is None

    async def ready(self) -> None:
        """Return when the part is healthy. PartFailedError when it ends or when its limit has passed."""
        end = asyncio.ensure_future(self._child.wait())
        healthy = asyncio.ensure_future(self._healthy())
        try:
            await asyncio.wait({end, healthy}, return_when=asyncio.FIRST_COMPLETED)
            if healthy.done():
                healthy.result()
                return
            raise PartFailedError(
                f"{self.part.name} ended with {described(end.result())} while it started", tail(self.log)
            )
        finally:
            end.cancel()
            healthy.cancel()

    async def _healthy(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.part.ready_limit_s
        while (reason := await asyncio.to_thread(ask, self.part.health)) is not None:
            if loop.time() > deadline:
                waited = f"{self.part.name} was not ready after {self.part.ready_limit_s:.0f} s: {reason}"
                raise PartFailedError(waited, tail(self.log))
            await asyncio.sleep(ASK_EVERY_S)

    async def stop(self) -> bool:
        """End it in its own way and wait. False when only SIGKILL helped after its limit."""
        self.signal(self.part.stop_signal)
        try:
            await asyncio.wait_for(self.ended(), self.part.stop_limit_s)
        except TimeoutError:
            await self.kill()
            return False
        return True

    async def kill(self) -> None:
        """End it and its process group at once."""
        self.kill_group()
        await self.ended()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself; nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(number)

    def kill_group(self) -> None:
        """SIGKILL everything in the group that this process leads."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


async def start(part: Part, log: Path, guard: Guard) -> Process:
    """Start the part in a session of its own, with no descriptor of ours but its log."""
    with _opened(log) as output:
        try:
            child = await asyncio.create_subprocess_exec(
                *part.prefix,
                *leashed(part.argv, part.orphan_signal),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **part.env},
                cwd=part.cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise PartFailedError(f"{part.name} does not start: {error}") from error
    guard.watch(child.pid, part.orphan_signal)
    return Process(part, child, log, guard)


def _opened(log: Path) -> BinaryIO:
    """Open the log at its end; one that has grown too long is put aside first."""
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    return log.open("ab")


@contextlib.asynccontextmanager
async def running(part: Part, log: Path, guard: Guard) -> AsyncIterator[Process]:
    """Give a process that is ready; stop it at the end."""
    process = await start(part, log, guard)
    try:
        await process.ready()
        yield process
    finally:
        await process.stop()


async def run_once(
    name: str,
    argv: tuple[str, ...],
    log: Path,
    guard: Guard,
    *,
    env: Mapping[str, str] | None = None,
    prefix: tuple[str, ...] = (),
) -> None:
    """Run a command to its end. StackError with the log's last lines when it fails; killed when cancelled."""
    process = await start(Part(name, argv, health="", address="", env=env or {}, prefix=prefix), log, guard)
    try:
        status = await process.ended()
    except asyncio.CancelledError:
        await process.kill()
        raise
    if status != 0:
        raise StackError(f"{name} ended with {described(status)}", tail(log))


def described(status: int) -> str:
    """Return an exit status in words."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    if 70 <= status <= 76:
        return f"status {status} (asks for a new process)"
    return f"status {status}"


def tail(log: Path, lines: int = 8) -> str:
    """Return where the log is and its last lines."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8_000))
        last = file.read().decode(errors="replace").splitlines()[-lines:]
        return "\n  ".join((f"{log}:", *(f"| {line}" for line in last)))
    return str(log)


def created_at(pid: int) -> float:
    """Return when this process was made, 0 if there is none: number and time together name a process."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def lives(pid: int, created: float) -> bool:
    """Say whether exactly this process, not a later one with its number, still runs."""
    try:
        process = psutil.Process(pid)
        same = abs(float(process.create_time()) - created) < 0.05
        return same and str(process.status()) != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
