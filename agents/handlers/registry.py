"""Which function handles which job type.

A handler module says `@handles("send-email")`; `load()` imports every module of this folder and returns the
table. A kind that the catalogue does not have, or that two functions claim, stops the start.
"""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

import agents.handlers
from agents.context import Context
from schemas.catalogue import JOB_TYPES
from schemas.errors import ConfigError

Result = dict[str, Any] | None
Function = Callable[[Context, Any], Awaitable[Result]]
F = TypeVar("F", bound=Function)


@dataclass(frozen=True, slots=True)
class Handler:
    """One handler. `needs` is the attribute of ProviderSettings without which its jobs are refused."""

    kind: str
    function: Function
    needs: str | None = None


def handles(kind: str, *, needs: str | None = None) -> Callable[[F], F]:
    """Declare the handler of a job type; found when `load()` imports its module."""

    def mark(function: F) -> F:
        marks = function.__dict__.setdefault("handlers", [])
        marks.append(Handler(kind, function, needs))
        return function

    return mark


def load() -> Mapping[str, Handler]:
    """Every handler by kind."""
    modules = [
        importlib.import_module(f"{agents.handlers.__name__}.{module.name}")
        for module in pkgutil.iter_modules(agents.handlers.__path__)
        if module.name != "registry"
    ]
    return collect(modules)


def collect(modules: list[ModuleType]) -> dict[str, Handler]:
    """The handlers that these modules declare; ConfigError on an unknown or doubled kind."""
    found: dict[str, Handler] = {}
    declared = [
        handler
        for module in modules
        for function in vars(module).values()
        if getattr(function, "__module__", None) == module.__name__
        for handler in getattr(function, "handlers", ())
    ]
    for handler in declared:
        if handler.kind not in JOB_TYPES:
            raise ConfigError(f"a handler for {handler.kind!r}, which the catalogue does not declare")
        if handler.kind in found:
            raise ConfigError(f"two handlers for {handler.kind!r}")
        found[handler.kind] = handler
    return found
