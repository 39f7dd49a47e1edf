"""The small disks of the chaos suite: full when they are to be, and with everything that was there before."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.disks import Disk, NoDisk, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "part"
    folder.mkdir(mode=0o700)
    (folder / "data").write_text("kept")
    try:
        with small_disk(folder, 2) as made:
            yield made
    except NoDisk as why:
        pytest.skip(f"no file system can be mounted here: {why}")


def test_what_a_part_had_is_on_its_small_disk_and_nobody_else_may_read_it(disk: Disk) -> None:
    assert (disk.folder / "data").read_text() == "kept"
    assert disk.folder.stat().st_mode & 0o777 == 0o700


def test_a_full_disk_takes_nothing_and_takes_it_again_afterwards(disk: Disk) -> None:
    with disk.full():
        assert _refused(disk)
    assert not _refused(disk)


def _refused(disk: Disk) -> bool:
    try:
        (disk.folder / "more").write_bytes(b"x" * 10_000)
    except OSError as error:
        return error.errno == errno.ENOSPC
    return False
