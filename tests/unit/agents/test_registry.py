"""One handler per job type, found by its mark."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agents.handlers import modules, registry
from agents.handlers.registry import Mode, collect, handles
from schemas.catalogue import JOB_TYPES, QUEUES
from schemas.errors import ConfigError

pytestmark = pytest.mark.usefixtures("own_catalogue")
Write = Callable[..., None]

GREET = """
    from agents.jobs import Context, Contract, Queue, Tier, handles, job_type

    GREETINGS = Queue("greetings", Tier.IMPORTANT)

    class Greet(Contract):
        name: str

    @handles(job_type("greet", Greet, GREETINGS, idempotency="greet-{name}"))
    async def greet(ctx: Context, data: Greet) -> dict[str, str]:
        return {"said": f"hello {data.name}"}
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Modules of a job author, importable while the test runs."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def written(**files: str) -> None:
        for name, text in files.items():
            path = tmp_path.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(text))

    yield written
    for name in set(sys.modules) - before:
        del sys.modules[name]


def a_module(
    name: str, *kinds: str, origin: str = "", cpu: bool = False, needs: str | None = None
) -> ModuleType:
    def work(ctx: Any, data: Any) -> None:
        return None

    work.__module__, work.__qualname__ = origin or name, "work"
    for kind in kinds:
        handles(kind, needs=needs, cpu=cpu)(work)
    module = ModuleType(name)
    module.work = work  # type: ignore[attr-defined]
    return module


def test_a_function_may_handle_several_kinds() -> None:
    found = collect([a_module("m", "validation", "data_fetch", needs="smtp_url")])
    assert set(found) == {"validation", "data_fetch"}
    assert found["validation"].needs == "smtp_url"


def test_a_kind_that_the_catalogue_does_not_have_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"m\.work: .*'nope'"):
        collect([a_module("m", "nope")])


def test_two_handlers_for_one_kind_stop_the_start() -> None:
    with pytest.raises(ConfigError, match="two handlers for 'validation'"):
        collect([a_module("m", "validation"), a_module("n", "validation")])


def test_a_need_that_no_setting_has_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="needs='stripe'"):
        collect([a_module("m", "validation", needs="stripe")])


def test_a_handler_that_another_module_imports_counts_once() -> None:
    assert collect([a_module("m", "validation"), a_module("n", "validation", origin="m")]).keys() == {
        "validation"
    }


def test_every_handler_of_the_product_is_in_the_catalogue() -> None:
    found = registry.load()
    assert {"validation", "send-email", "payment-process", "cell_update"} <= set(found) <= set(JOB_TYPES)
    assert all(handler.kind == kind for kind, handler in found.items())


# -- where a handler runs


def test_the_function_says_where_it_runs() -> None:
    async def in_the_loop(ctx: Any, data: Any) -> None:
        return None

    in_the_loop.__module__ = "m"
    handles("data_fetch")(in_the_loop)
    module = a_module("m", "validation")
    module.other = in_the_loop  # type: ignore[attr-defined]
    found = collect([module, a_module("n", "chat-message", cpu=True)])
    modes = {kind: handler.mode for kind, handler in found.items()}
    assert modes == {"data_fetch": Mode.LOOP, "validation": Mode.THREAD, "chat-message": Mode.PROCESS}


def test_a_coroutine_cannot_run_in_a_process() -> None:
    async def work(ctx: Any, data: Any) -> None:
        return None

    work.__module__ = "m"
    handles("validation", cpu=True)(work)
    module = ModuleType("m")
    module.work = work  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="takes a plain function"):
        collect([module])


def test_a_function_that_another_process_cannot_find_is_refused() -> None:
    module = a_module("m", "validation", cpu=True)
    module.work.__qualname__ = "a.<locals>.work"
    with pytest.raises(ConfigError, match="by its name"):
        collect([module])


def test_an_effect_outside_has_no_place_in_a_process() -> None:
    with pytest.raises(ConfigError, match="without an effect outside"):
        collect([a_module("m", "send-email", cpu=True)])


def test_a_providers_limit_has_none_either() -> None:
    with pytest.raises(ConfigError, match="calls no provider"):
        collect([a_module("m", "analytics-track", cpu=True)])


# -- a job author's own


def test_the_type_of_a_package_that_a_setting_names_is_declared_with_its_handler(write: Write) -> None:
    write(myapp____init__="", myapp__jobs=GREET)
    found = registry.load("myapp")
    assert (found["greet"].mode, JOB_TYPES["greet"].queue) == (Mode.LOOP, "greetings")
    assert "payment-process" in found


def test_a_role_without_handlers_learns_the_types_only(write: Write) -> None:
    write(greetings=GREET)
    registry.declare("greetings")
    assert QUEUES["greetings"].tier == JOB_TYPES["greet"].tier == 2


def test_an_installed_distribution_is_found_by_its_entry_point(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(greetings=GREET)
    points = [EntryPoint("mine", "greetings", modules.ENTRY_POINTS)]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    assert "greet" in registry.load()
    assert "greet" in registry.load("greetings")  # named twice it counts once


def test_a_package_that_is_not_there_stops_the_start_with_the_setting() -> None:
    with pytest.raises(ConfigError, match=r"TIERFLOW_HANDLERS: nowhere\.jobs cannot .* on PYTHONPATH\?"):
        registry.load("nowhere.jobs")


def test_a_module_that_fails_while_it_is_imported_is_named(write: Write) -> None:
    write(broken="1 / 0")
    with pytest.raises(ConfigError, match=r"broken cannot be imported: ZeroDivisionError"):
        registry.load("broken")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("{name}", "{nmae}"), r"greetings\.greet: job type 'greet': idempotency: \{nmae\} names no member"),
        (('"greet",', '"email-send",'), "kind 'email-send' is declared twice"),
        (('Queue("greetings"', 'Queue("chat-messages"'), "queue 'chat-messages' is declared twice"),
    ],
)
def test_a_declaration_that_does_not_hold_stops_the_start_with_its_function(
    write: Write, change: tuple[str, str], message: str
) -> None:
    write(greetings=GREET.replace(*change))
    with pytest.raises(ConfigError, match=message):
        registry.load("greetings")
