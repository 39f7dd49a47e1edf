import json

import pytest
from click.testing import CliRunner

from ops.cli import demo as module
from ops.demo.checks import Check
from ops.demo.gateway import DemoError
from ops.demo.ledger import TierLine
from ops.demo.show import Outcome

LINE = TierLine(1, 3, 2, 0, 1, 0, 12.0, 30.0)


def outcome(*checks: Check) -> Outcome:
    return Outcome("run", 1.0, [LINE], list(checks), {"worker-1": 7}, "http://gateway")


def run(monkeypatch: pytest.MonkeyPatch, found: Outcome | Exception, *arguments: str) -> tuple[int, str, str]:
    async def ran(*_: object, **__: object) -> Outcome:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(module, "_run", ran)
    result = CliRunner().invoke(module.command, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_when_all_holds_the_status_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    status, _, said = run(monkeypatch, outcome(Check("money", True, "3")))
    assert status == 0
    assert "all 1 expectations held" in said


def test_one_that_fails_makes_the_status_1_and_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Check("money", True, "3"), Check("nothing lost", False, "1 of 9 jobs: job-4")
    status, _, said = run(monkeypatch, outcome(*checks))
    assert status == 1
    assert "Error: nothing lost: 1 of 9 jobs: job-4" in said


def test_json_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    status, printed, _ = run(monkeypatch, outcome(Check("money", False, "2, expected 3")), "--json")
    assert status == 1
    found = json.loads(printed)
    assert found["ok"] is False
    assert found["checks"] == [{"name": "money", "ok": False, "found": "2, expected 3"}]
    assert found["tiers"][0]["duplicate"] == 1


def test_what_cannot_be_handed_in_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    status, _, said = run(monkeypatch, DemoError("POST /jobs/batch answered 503"))
    assert status == 1
    assert "POST /jobs/batch answered 503" in said
