"""The data folder: everything that one local stack writes, and the lock that keeps it to one stack."""

import errno
import fcntl
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ops.stack.errors import AlreadyRunningError, StackError

# In the folder's .gitignore: keeps it out of git and tells our folders from others.
MARK = "# The data of a local Tierflow stack.\n*\n"


@dataclass(frozen=True)
class DataFolder:
    """Where one stack keeps its data, logs, ports and state; paths only, nothing is read here."""

    root: Path

    @property
    def lock(self) -> Path:
        """Locked by the supervisor for as long as it lives."""
        return self.root / "lock"

    @property
    def state(self) -> Path:
        """What runs: written by the supervisor, read by `status` and `down`."""
        return self.root / "state.json"

    @property
    def shape(self) -> Path:
        """What was chosen once and must stay: ports, brokers, partitions, passwords."""
        return self.root / "stack.json"

    @property
    def logs(self) -> Path:
        """One file per part."""
        return self.root / "logs"

    def log(self, name: str) -> Path:
        """The log file of a part."""
        return self.logs / f"{name}.log"

    def contents(self) -> tuple[Path, ...]:
        """Everything that a stack ever writes here, which `reset` removes; nothing else here is ours."""
        ours = (
            "kafka",
            "postgres",
            "postgres.new",
            "valkey",
            "roles",
            "logs",
            "state.json",
            "stack.json",
            "lock",
        )
        return tuple(self.root / name for name in ours)

    def create(self) -> None:
        """Make the folder, readable by its owner only: it holds a password.

        StackError when that cannot be done, or when the folder holds things that are not ours.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not self._is_ours():
                self._take()
            self.logs.mkdir(exist_ok=True)
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise StackError(
                f"the data folder {self.root} cannot be written: {error.strerror}",
                "name another one with --data DIR or TIERFLOW_DATA",
            ) from error

    def _is_ours(self) -> bool:
        mark = self.root / ".gitignore"
        return mark.is_file() and mark.read_text(errors="replace") == MARK

    def _take(self) -> None:
        if any(self.root.iterdir()):
            raise StackError(
                f"{self.root} holds other things", "name a new folder with --data DIR or TIERFLOW_DATA"
            )
        self.root.chmod(0o700)
        (self.root / ".gitignore").write_text(MARK)


def data_folder(given: str | None, environment: Mapping[str, str], here: Path) -> DataFolder:
    """Return the folder that was named, else TIERFLOW_DATA, else `.tierflow` in the project around `here`."""
    named = given or environment.get("TIERFLOW_DATA")
    if named:
        return DataFolder(Path(named).expanduser().absolute())
    for folder in (here, *here.parents):
        if (
            (folder / ".tierflow").is_dir()
            or (folder / "pyproject.toml").exists()
            or (folder / ".git").exists()
        ):
            return DataFolder(folder / ".tierflow")
    return DataFolder(here / ".tierflow")


class FolderLock:
    """Holds the data folder until `release` or the end of the process, however it ends."""

    def __init__(self, folder: DataFolder, patience_s: float = 1.0) -> None:
        """Take the lock. AlreadyRunningError, with the owner's pid, when it stays taken for `patience_s`."""
        self._file: TextIO = folder.lock.open("a+", encoding="utf-8")
        deadline = time.monotonic() + patience_s
        while not self._taken():
            if time.monotonic() > deadline:
                self._file.seek(0)
                owner = self._file.read().strip() or "unknown"
                self._file.close()
                raise AlreadyRunningError(
                    f"a stack already runs on {folder.root} (supervisor pid {owner})",
                    "`tierflow down` stops it, `--data DIR` starts another one beside it",
                )
            time.sleep(0.05)
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Give the folder free."""
        self._file.close()
