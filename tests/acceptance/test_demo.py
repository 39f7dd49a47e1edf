"""`tierflow demo`, as a person runs it: from HTTP to Postgres, with two workers killed on the way."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.connectors.sinking import await_true
from tests.stack import ROOT, clean_environment

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def ran(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.cli.main", "demo", "--json", "--data", str(folder)],
        cwd=ROOT,
        env=clean_environment({}),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def outcome(ran: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ran.stdout, ran.stderr[-5000:]
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_every_expectation_holds(ran: subprocess.CompletedProcess[str], outcome: dict[str, Any]) -> None:
    failed = [f"{check['name']}: {check['found']}" for check in outcome["checks"] if not check["ok"]]
    assert failed == []
    assert len(outcome["checks"]) > 25
    assert (ran.returncode, outcome["ok"]) == (0, True)


def test_each_tier_accepted_and_completed_jobs_and_none_is_pending(outcome: dict[str, Any]) -> None:
    tiers = {line["tier"]: line for line in outcome["tiers"]}
    assert set(tiers) == {1, 2, 3}
    for line in tiers.values():
        assert line["accepted"] == line["completed"] + line["dead"] + line["duplicate"] > 0
        assert line["pending"] == 0
        assert 0 < line["p50_ms"] <= line["p99_ms"]
    # Ten are sent twice; an eleventh is one only where the gateway's store did not answer at once.
    assert tiers[1]["duplicate"] in (10, 11)
    assert tiers[2]["accepted"] > 5_000


def test_two_workers_were_killed(outcome: dict[str, Any]) -> None:
    assert set(outcome["killed"]) == {"worker-1", "worker-2"}


def test_nothing_is_left_running(outcome: dict[str, Any], folder: Path) -> None:
    # What was told to end with another process does so a moment after it.
    await_true(lambda: left(folder) == [], "every process of the demo has ended", 60)
    assert not (folder / "stack" / "state.json").exists()


def left(folder: Path) -> list[int]:
    """The processes that name the folder."""
    found = psutil.process_iter(["cmdline"])
    return [each.pid for each in found if any(str(folder) in word for word in each.info["cmdline"] or ())]
