"""Small disks: a tmpfs in the place of a part's data folder, which can be filled up and freed again."""

import contextlib
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

# Room for what a run of 10,000 jobs writes there, several times over.
SIZES_MB = {"kafka": 700, "postgres": 500, "valkey": 200, "worker": 200}
TOP_UP_EVERY_S = 0.2
FILLER = "filler"


class NoDisk(Exception):
    """No file system can be mounted here; the text says what `mount` said."""


class Disk:
    """One of them, mounted. `folder` is the part's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def stay_full(self, for_s: float) -> None:
        """Nothing can be written there for so long; what the part frees is taken as well. Blocks."""
        deadline = time.monotonic() + for_s
        with self.full() as filler:
            while time.monotonic() < deadline:
                time.sleep(TOP_UP_EVERY_S)
                _take_what_is_free(filler)

    @contextlib.contextmanager
    def full(self) -> Iterator[int]:
        """Nothing is free when the block begins; what took the place goes with it. Gives its descriptor."""
        path = self.folder / f"{FILLER}-{uuid.uuid4()}"  # it may be filled twice at a time
        filler = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            _take_what_is_free(filler)
            yield filler
        finally:
            os.close(filler)
            path.unlink()


def _take_what_is_free(filler: int) -> None:
    state = os.fstatvfs(filler)
    free = state.f_bavail * state.f_frsize
    with contextlib.suppress(OSError):  # somebody was quicker
        if free:
            os.posix_fallocate(filler, os.fstat(filler).st_size, free)


@contextlib.contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[Disk]:
    """Put a disk in the place of a folder, with all that is in it, for the block. NoDisk if forbidden."""
    before = folder.with_name(f"{folder.name}.before")
    folder.rename(before)
    folder.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder))
    except NoDisk:
        folder.rmdir()
        before.rename(folder)
        raise
    try:
        _run("cp", "-a", f"{before}/.", str(folder))  # with the mode and the owner of the folder itself
        shutil.rmtree(before)
        yield Disk(folder)
    finally:
        _run("umount", "-l", str(folder))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoDisk(done.stderr.strip() or f"{command[0]} ended with {done.returncode}")
