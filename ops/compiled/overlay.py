"""Puts the compiled modules in front of their sources, for the process that asks for it."""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, ModuleSpec
from pathlib import Path
from types import ModuleType

from ops.compiled import modules

SWITCH = "TIERFLOW_COMPILED"
"""0 runs the sources all the same."""
_FOUND = frozenset({*modules.MODULES, modules.MADE, modules.LIBRARY})


def use() -> bool:
    """From now on imports take compiled modules; False where there are none of these very sources.

    Only before the first of them is imported: a process never mixes both.
    """
    if os.environ.get(SWITCH) == "0" or not modules.are_compiled():
        return False
    if early := [name for name in modules.MODULES if name in sys.modules]:
        raise RuntimeError(f"{early[0]} was imported before the compiled modules were asked for")
    sys.meta_path.insert(0, _Compiled(modules.folder()))
    return True


def in_use() -> bool:
    """Whether this process runs on compiled modules."""
    return any(isinstance(finder, _Compiled) for finder in sys.meta_path)


class _Compiled(MetaPathFinder):
    """Finds the modules of the list, and the library that holds them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _FOUND:
            return None
        place = self._folder.joinpath(*fullname.split(".")[:-1])
        found = FileFinder(str(place), (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec(fullname)
        if found is None:
            raise ImportError(f"{self._folder} has gone while this process runs on it: start it again")
        return found
