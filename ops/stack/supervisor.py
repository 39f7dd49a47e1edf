"""Keeps parts running: starts them, starts again what ends, stops all."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ops.stack.errors import PartFailedError
from ops.stack.folder import DataFolder
from ops.stack.leash import Guard
from ops.stack.part import External, Part
from ops.stack.process import Process, described, start, tail
from ops.stack.progress import Say
from ops.stack.restarts import Record, after_end, delay_s, gives_up
from ops.stack.state import PartState


@dataclass
class Kept:
    """A part that is kept running, and the process that is it now."""

    part: Part
    first_ready: asyncio.Future[None]
    process: Process | None = None
    keeper: asyncio.Task[None] | None = None
    record: Record = field(default_factory=Record)
    restarts: int = 0
    stopping: bool = False


class Supervisor:
    """Owns the processes of one stack. Everything runs on one event loop in the main thread."""

    def __init__(self, folder: DataFolder, guard: Guard, say: Say, changed: Callable[[], None]) -> None:
        """`changed` is called whenever `parts` says something else."""
        self._folder = folder
        self._guard = guard
        self._say = say
        self._changed = changed
        self._kept: dict[str, Kept] = {}
        self._externals: list[External] = []

    def parts(self) -> tuple[PartState, ...]:
        """Return what is kept and used, in the order in which it was added."""
        used = (PartState(each.name, each.address, each.health) for each in self._externals)
        return (*used, *(self._part_state(kept) for kept in self._kept.values()))

    async def use(self, service: External) -> None:
        """Count a service of somebody else's as a part; it must not be healthy now."""
        self._externals.append(service)
        self._say(f"{service.name}: {service.address} is used ({service.because})")
        self._changed()

    async def bring_up(self, part: Part) -> None:
        """Start a part, return when it is ready, keep it running. PartFailedError when it never is."""
        began = time.monotonic()
        kept = Kept(part, asyncio.get_running_loop().create_future())
        self._kept[part.name] = kept
        kept.keeper = asyncio.create_task(self._keep(kept), name=f"keep {part.name}")
        await kept.first_ready
        self._say(f"{part.name} is ready on {part.address} ({time.monotonic() - began:.1f} s)")

    async def stop(self, names: Iterable[str]) -> None:
        """Stop these parts, all at the same time, each in its own way."""
        await asyncio.gather(*(self._stop(self._kept[name]) for name in names))

    def keeps(self, name: str) -> bool:
        """Say whether this part is a process of ours."""
        return name in self._kept

    def kill(self) -> None:
        """SIGKILL every part at once; for whoever will not wait for `stop`."""
        for kept in self._kept.values():
            kept.stopping = True
            if kept.process:
                kept.process.kill_group()

    async def _keep(self, kept: Kept) -> None:
        try:
            while True:
                status, lived_s = await self._run(kept)
                if kept.stopping:
                    return
                kept.record = after_end(kept.record, lived_s)
                if gives_up(kept.record, status):
                    raise PartFailedError(
                        f"{kept.part.name} ended with {described(status)} each time it was started",
                        tail(self._folder.log(kept.part.name)),
                    )
                pause_s = delay_s(kept.record)
                self._say(f"{kept.part.name} ended with {described(status)}; starts again in {pause_s:g} s")
                await asyncio.sleep(pause_s)
                kept.restarts += 1
        except PartFailedError as failure:
            if not kept.first_ready.done():
                kept.first_ready.set_exception(failure)
            else:
                self._say(str(failure))

    async def _run(self, kept: Kept) -> tuple[int, float]:
        """Run the part once: from its start to its end."""
        began = time.monotonic()
        # Shielded: were this cancelled inside, a child might run that nobody knows.
        starting = asyncio.ensure_future(start(kept.part, self._folder.log(kept.part.name), self._guard))
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            kept.process = await starting
            raise
        kept.process = process
        self._changed()
        watcher = asyncio.create_task(self._until_ready(kept, process))
        try:
            status = await process.ended()
        finally:
            watcher.cancel()
        kept.process = None
        self._changed()
        return status, time.monotonic() - began

    async def _until_ready(self, kept: Kept, process: Process) -> None:
        began = time.monotonic()
        try:
            await process.ready()
        except PartFailedError as failure:
            if not kept.first_ready.done() and kept.record.was_ready is False and process.alive():
                kept.first_ready.set_exception(failure)
            return
        kept.record = dataclasses.replace(kept.record, was_ready=True)
        if not kept.first_ready.done():
            kept.first_ready.set_result(None)
        else:
            self._say(f"{kept.part.name} is ready again ({time.monotonic() - began:.1f} s)")

    async def _stop(self, kept: Kept) -> None:
        kept.stopping = True
        process, part = kept.process, kept.part
        if process is None:
            if kept.keeper:
                kept.keeper.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await kept.keeper
            process = kept.process
        if process and not await process.stop():
            self._say(f"{part.name} did not end within {part.stop_limit_s:g} s and was killed")
        if kept.keeper:
            with contextlib.suppress(asyncio.CancelledError):
                await kept.keeper
        kept.process = None
        if not kept.first_ready.done():
            kept.first_ready.cancel()
        self._changed()

    def _part_state(self, kept: Kept) -> PartState:
        process = kept.process
        return PartState(
            name=kept.part.name,
            address=kept.part.address,
            health=kept.part.health,
            pid=process.pid if process else None,
            created=process.created if process else 0.0,
            restarts=kept.restarts,
            log=str(self._folder.log(kept.part.name)),
        )
