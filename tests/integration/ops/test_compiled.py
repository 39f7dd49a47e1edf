"""The compiled modules do what their sources do, and are used only where these very sources were compiled."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops.compiled import build, modules, overlay
from tests.stack import ROOT, clean_environment

SCHEDULES = 300


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """`make test` has done it; this is for who runs these tests alone."""
    if (missing := build.missing()) is not None:
        pytest.skip(missing)
    _run("-m", "ops.compiled.build", "--must")


def _run(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, env=clean_environment(environment), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


def test_a_process_runs_on_them() -> None:
    said = _run("-m", "ops.compiled.run", "tests.where", *modules.MODULES, modules.MADE)
    assert {Path(line).suffix for line in said.splitlines()} == {".so"}


def test_a_process_that_is_told_to_runs_on_the_sources() -> None:
    said = _run("-m", "ops.compiled.run", "tests.where", *modules.MODULES, TIERFLOW_COMPILED="0")
    assert said.splitlines() == [str(modules.source(module)) for module in modules.MODULES]


@pytest.mark.timeout(900)
def test_the_unit_tests_of_the_core_the_engine_and_the_codec_pass_on_them() -> None:
    paths = (
        "tests/unit/streams", "tests/unit/schemas", "tests/unit/connectors/redis",
        "tests/unit/connectors/consuming", "tests/unit/agents/handlers",
        "tests/unit/agents/test_in_memory.py",
    )  # fmt: skip
    assert " passed" in _run("-m", "pytest", "-q", "-p", "tests.compiled", "-p", "no:cacheprovider", *paths)


def test_the_same_schedules_of_faults_take_the_same_course() -> None:
    def hunted(compiled: str) -> dict[str, object]:
        command = ("-m", "ops.cli.main", "simulate", "--schedules", str(SCHEDULES), "--seed", "77", "--json")
        found: dict[str, object] = json.loads(_run(*command, TIERFLOW_COMPILED=compiled))
        assert found.pop("compiled") == (compiled == "1")
        return {name: found[name] for name in ("schedules", "actions", "violations", "limit_violations")}

    on_them, on_the_sources = hunted("1"), hunted("0")
    assert on_them == on_the_sources
    assert on_them["violations"] == []


def test_other_sources_have_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = modules.digest()
    for room in ("schemas", "streams", "connectors", "agents", "ops/compiled"):
        shutil.copytree(ROOT / room, tmp_path / room)
    monkeypatch.setattr(modules, "ROOT", tmp_path)
    try:
        modules.digest.cache_clear()
        assert modules.digest() == known
        # Not in the list, but the compiler believes its types.
        changed = tmp_path / "schemas/errors.py"
        changed.write_text(changed.read_text() + "\n")
        modules.digest.cache_clear()
        assert modules.digest() != known
        assert not overlay.use()
    finally:
        modules.digest.cache_clear()


def test_a_process_never_mixes_both() -> None:
    import streams.core.machine  # noqa: F401

    with pytest.raises(RuntimeError, match="was imported before"):
        overlay.use()
