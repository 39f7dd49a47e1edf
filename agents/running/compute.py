"""The side of a handler's process: takes a task, runs its function, answers; until its parent is gone."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection as connections
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

from agents.context import Context
from agents.failures import classify
from schemas import catalogue
from schemas.errors import PermanentError
from schemas.job_type import JobType
from schemas.payloads.contract import Contract
from schemas.records import Failure, Job, JobRequest
from streams import log
from streams.settings import ProcessSettings


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt, as it goes to the process."""

    function: Callable[..., Any]
    data: Contract
    job: Job
    attempt: int
    interruptions: int
    now: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The process has imported what it needs."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The arguments of `ctx.progress`."""

    percentage: int
    stage: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Returned:
    """What the function returned, and what it gave to `ctx.submit` and `ctx.live`."""

    result: Any
    submitted: list[JobRequest]
    updates: list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Raised:
    """What it raised, classified here: not every exception survives the way to another process."""

    failure: Failure
    retry_after_s: float | None


class Missing:
    """Stands where a handler in a process has nothing."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, member: str) -> Any:
        raise PermanentError(f"a handler with cpu=True has no ctx.{self._name}", code="configuration")


def main(parent: Connection, types: tuple[JobType, ...], process: ProcessSettings | None) -> None:
    """Serve until the parent closes the connection or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    Thread(target=_end_with_parent, daemon=True).start()
    if process is not None:
        log.configure(process)
    for job_type in types:
        catalogue.declare(job_type)
    parent.send(Ready())
    while True:
        try:
            task: Task = parent.recv()
        except EOFError:
            return
        parent.send(_perform(task, parent))


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connections.wait([parent.sentinel])
    os._exit(1)


def _perform(task: Task, parent: Connection) -> Returned | Raised:
    missing: Any = Missing
    context = Context(
        task.job, task.attempt, task.interruptions, missing("providers"), missing("document"),
        missing("workbooks"), lambda *said: parent.send(Progress(*said)), lambda: task.now,
    )  # fmt: skip
    try:
        return Returned(task.function(context, task.data), context.submitted, context.updates)
    except Exception as error:
        context.log.info("handler raised", exc_info=True)
        return Raised(*classify(error))
