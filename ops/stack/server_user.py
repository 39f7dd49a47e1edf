"""As whom PostgreSQL runs: it refuses root. Found by trying, since containers differ in what they allow."""

import contextlib
import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ops.stack.errors import StackError

NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534")


@dataclass(frozen=True)
class ServerUser:
    """What to put before a command, and who must own its files where that is somebody else (`uid`)."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        """Give a file, or a folder with all that is in it, to the user, unless it is theirs."""
        if self.uid is None or self.gid is None or path.stat().st_uid == self.uid:
            return
        os.chown(path, self.uid, self.gid)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                os.chown(Path(folder) / name, self.uid, self.gid, follow_symlinks=False)


def server_user(binaries: Path, data: Path) -> ServerUser:
    """Return the user under which the binaries run and the data can be reached.

    Not root: ourselves. Root: whoever owns the data, if there are any; else ourselves in a user namespace in
    which we are called nobody, which needs no user and changes no owner on disk; where that is refused the
    user `postgres` or `nobody` outright.
    StackError when none of them can reach the binaries and the folder around the data.
    """
    if os.geteuid() != 0:
        return ServerUser()
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return ServerUser(_as(owner.st_uid, owner.st_gid), owner.st_uid, owner.st_gid)
    server = str(binaries / "postgres")
    if sys.platform == "linux" and _runs(*NAMESPACE, server, "--version"):
        return ServerUser(NAMESPACE)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            user = ServerUser(_as(found.pw_uid, found.pw_gid), found.pw_uid, found.pw_gid)
            tries = ((server, "--version"), ("test", "-x", str(data.parents[1])))
            if all(_runs(*user.prefix, *command) for command in tries):
                return user
    raise StackError(
        "PostgreSQL does not run as root, and neither a user namespace nor another user can be had here",
        "run as an ordinary user, or install and use --data where every user may enter, or set DATABASE_URL",
    )


def _as(uid: int, gid: int) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups")


def _runs(*argv: str) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, timeout=20, check=False, cwd="/").returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
