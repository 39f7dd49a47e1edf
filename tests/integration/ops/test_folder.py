"""The data folder: which one, its lock, what it remembers."""

import os
from pathlib import Path

import pytest

from ops.stack.errors import AlreadyRunningError, StackError
from ops.stack.folder import DataFolder, FolderLock, data_folder
from ops.stack.process import created_at, lives
from ops.stack.shape import load_shape, save_shape
from ops.stack.state import StackState, read, write


def test_a_named_folder_wins_over_the_environment_and_that_over_the_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    below = tmp_path / "a" / "b"
    environment = {"TIERFLOW_DATA": "/from/environment"}
    assert data_folder("/named", environment, below).root == Path("/named")
    assert data_folder(None, environment, below).root == Path("/from/environment")
    assert data_folder(None, {}, below).root == tmp_path / ".tierflow"


def test_a_lock_is_for_one_and_names_its_owner(tmp_path: Path) -> None:
    held = FolderLock(DataFolder(tmp_path))
    with pytest.raises(AlreadyRunningError, match=r"supervisor pid \d+"):
        FolderLock(DataFolder(tmp_path), patience_s=0.1)
    held.release()
    FolderLock(DataFolder(tmp_path), patience_s=0.1).release()


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=r"file/data cannot be written(.|\n)*--data"):
        DataFolder(tmp_path / "file" / "data").create()


def test_what_was_chosen_once_is_remembered(tmp_path: Path) -> None:
    first = load_shape(tmp_path / "stack.json", 3, None)
    first.ports["kafka-1"] = 25_000
    save_shape(tmp_path / "stack.json", first)
    assert load_shape(tmp_path / "stack.json", None, None) == first
    assert load_shape(tmp_path / "stack.json", 3, 4) == first


def test_another_number_of_brokers_than_the_data_have_is_refused(tmp_path: Path) -> None:
    save_shape(tmp_path / "stack.json", load_shape(tmp_path / "stack.json", 1, 4))
    with pytest.raises(StackError, match="made with 1 brokers, not 3"):
        load_shape(tmp_path / "stack.json", 3, None)


def test_a_state_of_another_version_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"supervisor": "somebody"}')
    assert read(tmp_path / "state.json") is None


def test_a_state_whose_supervisor_is_another_process_of_that_number_does_not_run(tmp_path: Path) -> None:
    created = created_at(os.getpid())
    state = StackState(os.getpid(), created - 60, "ready", str(tmp_path), None, "", "", "")
    write(tmp_path / "state.json", state)
    assert read(tmp_path / "state.json") == state
    assert not state.runs()
    assert lives(os.getpid(), created)


def test_a_folder_of_somebody_elses_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    mode = tmp_path.stat().st_mode
    with pytest.raises(StackError, match="holds other things"):
        DataFolder(tmp_path).create()
    assert tmp_path.stat().st_mode == mode
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_of_ours_is_taken_again(tmp_path: Path) -> None:
    DataFolder(tmp_path / "data").create()
    DataFolder(tmp_path / "data").create()
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
