"""One handler per job type, found by its mark."""

from types import ModuleType
from typing import Any

import pytest

from agents.handlers import registry
from agents.handlers.registry import collect, handles
from schemas.catalogue import JOB_TYPES
from schemas.errors import ConfigError


def a_module(name: str, *kinds: str, origin: str = "") -> ModuleType:
    async def work(ctx: Any, data: Any) -> None:
        return None

    work.__module__ = origin or name
    for kind in kinds:
        handles(kind, needs="stripe_secret_key")(work)
    module = ModuleType(name)
    module.work = work  # type: ignore[attr-defined]
    return module


def test_a_function_may_handle_several_kinds() -> None:
    found = collect([a_module("m", "validation", "data_fetch")])
    assert set(found) == {"validation", "data_fetch"}
    assert found["validation"].needs == "stripe_secret_key"


def test_a_kind_that_the_catalogue_does_not_have_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="'nope'"):
        collect([a_module("m", "nope")])


def test_two_handlers_for_one_kind_stop_the_start() -> None:
    with pytest.raises(ConfigError, match="two handlers for 'validation'"):
        collect([a_module("m", "validation"), a_module("n", "validation")])


def test_a_handler_that_another_module_imports_counts_once() -> None:
    assert collect([a_module("m", "validation"), a_module("n", "validation", origin="m")]).keys() == {
        "validation"
    }


def test_every_handler_of_the_product_is_in_the_catalogue() -> None:
    found = registry.load()
    assert {"validation", "send-email", "payment-process", "cell_update"} <= set(found) <= set(JOB_TYPES)
    assert all(handler.kind == kind for kind, handler in found.items())
