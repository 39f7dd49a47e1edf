import sys
from pathlib import Path

import pytest

from connectors.child_process import CodingCommand, argv_of
from schemas.errors import ConfigError, PermanentError


@pytest.fixture
def command(tmp_path: Path) -> CodingCommand:
    (tmp_path / "inside").mkdir()
    return CodingCommand(f"'{sys.executable}' -I -", tmp_path, search_path="/bin")


def test_a_task_works_inside_the_root(command: CodingCommand, tmp_path: Path) -> None:
    assert command.working_directory(None) == tmp_path
    assert command.working_directory("inside") == tmp_path / "inside"
    assert command.working_directory("inside/..") == tmp_path


@pytest.mark.parametrize("folder", ["..", "../..", "/etc", "inside/../../x", "link"])
def test_no_way_leads_out_of_the_root(command: CodingCommand, tmp_path: Path, folder: str) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(PermanentError) as caught:
        command.working_directory(folder)
    assert caught.value.code == "path_escape"


def test_a_folder_that_is_none_is_refused(command: CodingCommand) -> None:
    with pytest.raises(PermanentError) as caught:
        command.working_directory("nowhere")
    assert caught.value.code == "no_such_folder"


def test_the_environment_is_made_from_nothing(command: CodingCommand, tmp_path: Path) -> None:
    assert command.environment({"TASK_NAME": "x", "TZ": "UTC"}, tmp_path) == {
        "PATH": "/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "TASK_NAME": "x",
        "TZ": "UTC",
    }


@pytest.mark.parametrize(
    "name", ["PATH", "HOME", "LD_PRELOAD", "PYTHONPATH", "STRIPE_SECRET_KEY", "task_x", ""]
)
def test_other_variables_are_refused_by_name(command: CodingCommand, tmp_path: Path, name: str) -> None:
    with pytest.raises(PermanentError, match=f"not allowed: {name};"):
        command.environment({name: "x", "TASK_NAME": "x"}, tmp_path)


def test_the_program_is_found_once_at_the_start() -> None:
    assert argv_of("sh -c 'a b'", "/bin") == ("/bin/sh", "-c", "a b")


@pytest.mark.parametrize("line", ["", "   ", "no-such-program-anywhere -x", "'open"])
def test_a_command_that_is_none_is_a_wrong_setting(line: str) -> None:
    with pytest.raises(ConfigError, match="TIERFLOW_CODING_COMMAND"):
        argv_of(line, "/bin")
