"""Which function handles which job type.

A handler says `@handles("send-email")`, or `@handles(job_type(...))` for a type of its own. Importing its
module does nothing; `load()` imports the modules, adds their types to the catalogue and returns the table. A
kind that nobody declares, or that two functions claim, stops the start.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any, TypeVar

from agents.context import Context
from agents.handlers import modules
from schemas import catalogue
from schemas.errors import ConfigError
from schemas.job_type import JobType
from streams.settings import ProviderSettings

Result = Mapping[str, Any] | None
Function = Callable[[Context, Any], Awaitable[Result]] | Callable[[Context, Any], Result]
F = TypeVar("F", bound=Callable[..., Any])


class Mode(Enum):
    """Where a handler runs: in the loop (`async def`), in a thread (`def`), in a process (`cpu=True`)."""

    LOOP = "loop"
    THREAD = "thread"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class Handler:
    """One handler. `needs` is the attribute of ProviderSettings without which its jobs are refused."""

    kind: str
    function: Function
    needs: str | None = None
    mode: Mode = Mode.LOOP
    declares: JobType | None = None


def handles(job: str | JobType, *, needs: str | None = None, cpu: bool = False) -> Callable[[F], F]:
    """Declare the handler of a job type, of the catalogue by its kind or of your own.

    `async def` runs in the worker's loop, `def` in a thread; with `cpu` a `def` runs in a process, which is
    killed when its time is over. Found when `load()` imports its module.
    """
    kind, own = (job, None) if isinstance(job, str) else (job.kind, job)

    def mark(function: F) -> F:
        marks = function.__dict__.setdefault("handlers", [])
        marks.append(Handler(kind, function, needs, _mode(function, cpu), own))
        return function

    return mark


def _mode(function: Callable[..., Any], cpu: bool) -> Mode:
    if cpu:
        return Mode.PROCESS
    return Mode.LOOP if inspect.iscoroutinefunction(function) else Mode.THREAD


def load(packages: str = "") -> Mapping[str, Handler]:
    """Every handler by kind: the product's, those of `packages` (setting TIERFLOW_HANDLERS), and those of
    installed distributions (entry points `tierflow.jobs`). ConfigError names what does not hold."""
    return collect([*modules.own(), *modules.outside(packages)])


def of_functions(functions: Iterable[Callable[..., Any]]) -> Mapping[str, Handler]:
    """The handlers of functions that bear the mark, their types added to the catalogue."""
    return _admitted([handler for function in functions for handler in getattr(function, "handlers", ())])


def in_process(handlers: Mapping[str, Handler]) -> frozenset[str]:
    """The kinds that run in processes."""
    return frozenset(kind for kind, handler in handlers.items() if handler.mode is Mode.PROCESS)


def own_types(handlers: Mapping[str, Handler]) -> tuple[JobType, ...]:
    """The types that job authors declared."""
    return tuple(handler.declares for handler in handlers.values() if handler.declares is not None)


def declare(packages: str = "") -> None:
    """Only the types of job authors, for roles that run no handler."""
    collect(modules.outside(packages))


def collect(found: list[ModuleType]) -> dict[str, Handler]:
    """The handlers that these modules declare, their types added to the catalogue.

    ConfigError on an unknown or doubled kind or queue, a key that cannot be filled, a function that cannot
    run as it should.
    """
    return _admitted(_marked(found))


def _admitted(marked: Iterable[Handler]) -> dict[str, Handler]:
    handlers: dict[str, Handler] = {}
    for handler in marked:
        where = f"{handler.function.__module__}.{handler.function.__qualname__}"
        try:
            _admit(handler, handlers)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        handlers[handler.kind] = handler
    return handlers


def _marked(found: list[ModuleType]) -> list[Handler]:
    """A module names what it imports, too: only its own functions count."""
    return [
        handler
        for module in found
        for function in list(vars(module).values())
        if getattr(function, "__module__", None) == module.__name__
        for handler in getattr(function, "handlers", ())
    ]


def _admit(handler: Handler, others: Mapping[str, Handler]) -> None:
    if handler.kind in others:
        raise ConfigError(
            f"two handlers for {handler.kind!r}: {others[handler.kind].function.__qualname__}, too"
        )
    if handler.declares is not None:
        catalogue.declare(handler.declares)
    elif handler.kind not in catalogue.JOB_TYPES:
        raise ConfigError(f"a handler for {handler.kind!r}, which the catalogue does not declare")
    if handler.needs is not None and handler.needs not in ProviderSettings.model_fields:
        raise ConfigError(f"needs={handler.needs!r} is no attribute of ProviderSettings")
    if handler.mode is Mode.PROCESS:
        _check_process(handler)


def _check_process(handler: Handler) -> None:
    if inspect.iscoroutinefunction(handler.function):
        raise ConfigError("cpu=True takes a plain function: a process has no loop")
    if "<locals>" in handler.function.__qualname__:
        raise ConfigError("cpu=True takes a function of a module: another process must find it by its name")
    if catalogue.JOB_TYPES[handler.kind].check_in:
        raise ConfigError(
            "cpu=True is for work without an effect outside, as it may wait for a process for longer than its"
            " check-in is good for: call the provider in a job of its own (ctx.submit)"
        )
    if catalogue.JOB_TYPES[handler.kind].limit_group:
        raise ConfigError("cpu=True calls no provider: a limit group is for the job that does (ctx.submit)")
