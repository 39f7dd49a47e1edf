"""The command line: finding commands, masking secrets, making tokens."""

import json
from importlib import import_module
from types import ModuleType

import jwt
import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from ops.cli.config import MASK, masked
from ops.cli.main import main

SECRET = "0123456789abcdef0123456789abcdef"


def test_every_listed_command_can_be_loaded() -> None:
    answer = CliRunner().invoke(main, ["--help"])
    assert answer.exit_code == 0
    for name in ("up", "down", "status", "gateway", "topics", "token", "config"):
        assert f"\n  {name} " in answer.output


def test_a_command_whose_packages_are_missing_says_so_and_the_others_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> ModuleType:
        if name == "ops.cli.demo":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")
        return import_module(name)

    monkeypatch.setattr("ops.cli.main.import_module", missing)
    answer = CliRunner().invoke(main, ["demo", "--port", "3"])
    assert answer.exit_code == 1
    assert "needs the package pandas" in answer.output
    assert CliRunner().invoke(main, ["--help"]).exit_code == 0


def test_an_unknown_command_is_exit_status_2() -> None:
    assert CliRunner().invoke(main, ["nothing"]).exit_code == 2


def test_an_error_of_ours_is_one_message_and_exit_status_1() -> None:
    answer = CliRunner().invoke(main, ["config"], env={"TIERFLOW_PORT": "x", "TIERFLOW_PARTITIONS": "0"})
    assert answer.exit_code == 1
    assert "TIERFLOW_PORT" in answer.output
    assert "TIERFLOW_PARTITIONS" in answer.output
    assert "Traceback" not in answer.output


def test_config_shows_each_value_with_its_source_and_no_secret(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "key"
    file.write_text("sk_test_canary")
    environment = {
        "JWT_SECRET": SECRET,
        "DATABASE_URL": "postgresql://u:canary@db:5432/x",
        "STRIPE_SECRET_KEY_FILE": str(file),
        "TIERFLOW_PARTITIONS": "7",
    }
    answer = CliRunner().invoke(main, ["config", "--json"], env=environment)
    lines = {line["name"]: line for line in json.loads(answer.output)}
    assert "canary" not in answer.output
    assert SECRET not in answer.output
    assert (lines["TIERFLOW_PARTITIONS"]["value"], lines["TIERFLOW_PARTITIONS"]["source"]) == (
        "7",
        "environment",
    )
    assert lines["STRIPE_SECRET_KEY"]["source"] == f"file {file}"
    assert lines["DATABASE_URL"]["value"] == f"postgresql://u:{MASK}@db:5432/x"
    assert lines["TIERFLOW_REPLICATION"]["source"] == "default"


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("sk_live_1", MASK),
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:pw@h:1/0", f"redis://:{MASK}@h:1/0"),
        ("smtp://me:pw@h?x=y", f"smtp://me:{MASK}@h?{MASK}"),
    ],
)
def test_of_an_address_only_what_is_secret_is_masked(secret: str, shown: str) -> None:
    assert masked(SecretStr(secret)) == shown


def test_a_token_carries_what_was_asked_for() -> None:
    arguments = [
        "token",
        "--role",
        "venue_admin",
        "--user",
        "v",
        "--tenant",
        "a",
        "--tenant",
        "b",
        "--ttl",
        "15m",
    ]
    answer = CliRunner().invoke(main, arguments, env={"JWT_SECRET": SECRET, "JWT_ISSUER": "me"})
    claims = jwt.decode(answer.output.strip(), SECRET, algorithms=["HS256"], issuer="me")
    assert (claims["sub"], claims["role"], claims["tenants"]) == ("v", "venue_admin", ["a", "b"])
    assert claims["exp"] - claims["iat"] == 900


def test_a_token_needs_a_key_and_a_sensible_time() -> None:
    runner = CliRunner()
    missing = runner.invoke(main, ["token"], env={"JWT_SECRET": ""})
    wrong = runner.invoke(main, ["token", "--ttl", "soon"], env={"JWT_SECRET": SECRET})
    assert (missing.exit_code, wrong.exit_code) == (1, 2)
    assert "JWT_SECRET" in missing.output
