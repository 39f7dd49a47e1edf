"""The same as `rig.Rig`, on the in-memory runner: job authors' tests must see what a real worker does."""

import asyncio
import json
import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from agents.in_memory import InMemory
from schemas.catalogue import find_kind
from schemas.records import DeadLetter, JobOptions, JobRequest, Lifecycle
from schemas.states import TERMINAL
from tests.integration.agents.scripted_worker import executions_in, scripted

STEP = timedelta(milliseconds=100)


class MemoryRig:
    """One process of each role; it is killed and restarted as a whole."""

    def __init__(self, folder: Path) -> None:
        self._effects = folder / "effects"
        self._loop = asyncio.new_event_loop()
        self._died = False
        self._jobs = InMemory(overrides=scripted(self._effects, self._die))
        self._loop.run_until_complete(self._jobs.__aenter__())

    def _die(self) -> None:
        """What `os._exit` is there: nothing more comes of this handler."""
        self._died = True

    def router(self) -> None:
        """It runs always."""

    def worker(self, name: str) -> None:
        """Start again, on what was committed."""
        if self._died:
            self._died = False
            self._loop.run_until_complete(self._jobs.crash())

    def kill(self, name: str) -> None:
        """Every process dies in the middle of its work, and starts again."""
        self._loop.run_until_complete(self._crash_at_work())

    async def _crash_at_work(self) -> None:
        advancing = asyncio.ensure_future(self._jobs.advance(STEP))
        while not (advancing.done() or self._jobs.running):  # noqa: ASYNC110
            await asyncio.sleep(0)
        advancing.cancel()
        await asyncio.wait([advancing])
        await self._jobs.crash()

    def has_ended(self, name: str) -> bool:
        """Whether a handler has killed its worker."""
        return self._died

    def stop(self) -> None:
        """The end."""
        self._loop.run_until_complete(self._jobs.__aexit__(None, None, None))
        self._loop.close()

    @property
    def now_s(self) -> float:
        """The time."""
        return self._jobs.clock.now_ms() / 1000

    def send(self, kind: str, data: dict[str, Any], options: JobOptions | None = None) -> str:
        """Produce one job request; returns its id."""
        request = JobRequest(
            str(uuid.uuid4()), find_kind(kind).queue, kind, json.dumps(data), self._jobs.clock.now_ms(),
            options or JobOptions(),
        )  # fmt: skip
        self._jobs.send(request)
        return request.job_id

    def chat(self, conversation: str, seq: int, options: JobOptions | None = None, **script: Any) -> str:
        """A job ordered by its conversation."""
        data = {"userId": "u", "conversationId": conversation, "message": "m", "seq": seq, "script": script}
        return self.send("chat-message", data, options)

    def flush(self) -> None:
        """Everything sent is on the topics."""

    def read(self) -> None:
        """Let time pass."""
        self._loop.run_until_complete(self._passed())

    async def _passed(self) -> None:
        advancing = asyncio.ensure_future(self._jobs.advance(STEP))
        while not (advancing.done() or self._died):
            await asyncio.wait([advancing], timeout=0.01)
        if not advancing.done():
            advancing.cancel()
            await asyncio.wait([advancing])
        elif not self._died:
            advancing.result()

    @property
    def histories(self) -> dict[str, list[Lifecycle]]:
        """Every history record by job."""
        found = defaultdict(list)
        for record in self._jobs.lifecycles:
            found[record.job_id].append(record)
        return found

    @property
    def letters(self) -> list[DeadLetter]:
        """Every dead letter."""
        return self._jobs.letters

    def moves(self, job_id: str) -> list[str]:
        """The states that a job went through."""
        return self._jobs[job_id].states

    def ends(self, job_id: str) -> list[str]:
        """Its terminal states."""
        return [state for state in self.moves(job_id) if state in TERMINAL]

    def wait(self, condition: Callable[[], bool], limit_s: float = 60) -> None:
        """Let time pass until the condition holds; AssertionError after the limit."""
        end = self.now_s + limit_s
        while not condition():
            assert self.now_s < end, f"not within {limit_s} s of the clock"
            self.read()

    def executions(self) -> list[tuple[str, str, int, int]]:
        """Every execution that was started."""
        return executions_in(self._effects)
