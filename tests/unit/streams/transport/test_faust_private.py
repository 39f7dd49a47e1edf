"""The installed Faust still has every private member that the engine touches, in the expected shape."""

import ast
import importlib
import inspect
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import streams.transport
from streams.transport.app import EngineApp, EngineTables
from streams.transport.consumer import Consumer
from streams.transport.faust_private import OVERRIDDEN, USED, Touched
from streams.transport.stream import EngineStream

OURS: dict[str, Any] = {
    "App": EngineApp, "Consumer": Consumer, "TableManager": EngineTables, "Stream": EngineStream,
}  # fmt: skip


def owner(touched: Touched) -> Any:
    return getattr(importlib.import_module(touched.module), touched.owner)


def arguments(function: Any) -> list[str]:
    function = getattr(function, "fun", function)
    return [name for name in inspect.signature(function).parameters if name not in ("self", "args", "kwargs")]


@pytest.mark.parametrize("touched", OVERRIDDEN, ids=str)
def test_an_overridden_method_exists_and_takes_the_same_arguments(touched: Touched) -> None:
    theirs, ours = getattr(owner(touched), touched.member), getattr(OURS[touched.owner], touched.member)
    assert theirs is not ours
    named = arguments(ours)
    assert named == arguments(theirs)[: len(named)]


@pytest.mark.parametrize("touched", OVERRIDDEN, ids=str)
def test_an_overriding_method_is_a_coroutine_exactly_if_faust_s_is(touched: Touched) -> None:
    theirs, ours = getattr(owner(touched), touched.member), getattr(OURS[touched.owner], touched.member)
    kinds = [inspect.iscoroutinefunction(getattr(f, "fun", f)) for f in (theirs, ours)]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("touched", USED, ids=str)
def test_a_used_member_exists(touched: Touched) -> None:
    found = owner(touched)
    declared = any(touched.member in vars(part) or touched.member in getattr(part, "__annotations__", {})
                   for part in found.__mro__)  # fmt: skip
    assigned = f"self.{touched.member} " in inspect.getsource(found)
    assert declared or assigned


def test_no_other_private_member_of_faust_is_touched() -> None:
    listed = {touched.member for touched in (*OVERRIDDEN, *USED)}
    for module in ("app", "consumer", "producer", "stream", "delivery"):
        path = Path(str(streams.transport.__path__[0])) / f"{module}.py"
        tree = ast.parse(path.read_text())
        ours = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and stores(node)}
        ours |= {
            node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        read = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
        }
        assert read - ours <= listed, f"{module}.py touches {read - ours - listed}"


def stores(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store)


def test_faust_is_the_version_that_was_checked() -> None:
    assert version("faust-streaming") == "0.15.3"
