"""Where handlers are looked for: this folder, the packages of a setting, and installed distributions."""

import importlib
import importlib.metadata
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import agents.handlers
from schemas.errors import ConfigError

ENTRY_POINTS = "tierflow.jobs"
SETTING = "TIERFLOW_HANDLERS"
_MACHINERY = {"registry", "modules"}


def own() -> list[ModuleType]:
    """Every handler module of the product."""
    return [
        importlib.import_module(f"{agents.handlers.__name__}.{module.name}")
        for module in pkgutil.iter_modules(agents.handlers.__path__)
        if module.name not in _MACHINERY
    ]


def outside(packages: str) -> list[ModuleType]:
    """The modules of job authors, each with what is below it; ConfigError when one cannot be imported."""
    named = {name.strip(): SETTING for name in packages.split(",") if name.strip()}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        named.setdefault(point.module, f"entry point {point.name!r} of group {ENTRY_POINTS}")
    found = {module.__name__: module for name, why in named.items() for module in _tree(name, why)}
    return list(found.values())


def _tree(name: str, why: str) -> Iterator[ModuleType]:
    root = _imported(name, why)
    yield root
    for below in pkgutil.walk_packages(getattr(root, "__path__", []), f"{name}."):
        yield _imported(below.name, why)


def _imported(name: str, why: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        # Whatever it raises while it is imported: its author must see it with the name of the module.
        hint = "; is it installed, or its folder on PYTHONPATH?" if isinstance(error, ImportError) else ""
        raise ConfigError(f"{why}: {name} cannot be imported: {error!r}{hint}") from error
