"""The servers that a benchmark runs on: its own, in a temporary folder, or the Kafka that is named.

With KAFKA_BOOTSTRAP_SERVERS set that Kafka is used (topics of our own prefix, deleted at the end); PostgreSQL
and Valkey are always started, so that nobody's data is touched.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ops.stack.folder import DataFolder, FolderLock
from ops.stack.leash import Guard
from ops.stack.local_stack import LocalStack, Wish
from ops.stack.progress import Say

PARTITIONS = 4
# What would change what is measured, or whose data is touched.
_FOREIGN = ("DATABASE_URL", "REDIS_URL", "TIERFLOW_", "JWT_")


@dataclass(frozen=True)
class Infrastructure:
    """Where the servers are, which processes they are, and what the roles get as environment."""

    bootstrap: str
    prefix: str
    environment: Mapping[str, str]
    pids: Mapping[str, int]
    folder: Path
    guard: Guard

    def name(self, what: str) -> str:
        """A topic or group of this run alone."""
        return f"{self.prefix}{what}"

    def log(self, name: str) -> Path:
        """The log of a process of the benchmark."""
        return self.folder / "logs" / f"{name}.log"


@asynccontextmanager
async def infrastructure(say: Say) -> AsyncIterator[Infrastructure]:
    """Start the servers, stop them at the end and remove what they wrote. StackError when they do not start.

    After an error the folder stays, because the logs are in it.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    root = Path(tempfile.mkdtemp(prefix="tierflow-bench-"))
    folder = DataFolder(root)
    folder.create()
    lock, guard = FolderLock(folder), Guard()
    stack = LocalStack(Wish(folder, partitions=PARTITIONS, infrastructure=True), kept, say)
    fine = False
    try:
        await stack.start()
        state = stack.state()
        prefix = f"bench-{secrets.token_hex(4)}."
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": state.kafka_bootstrap,
            "DATABASE_URL": state.database_url,
            "REDIS_URL": state.redis_url,
            "TIERFLOW_TOPIC_PREFIX": prefix,
            "TIERFLOW_PARTITIONS": str(PARTITIONS),
            "TIERFLOW_REPLICATION": os.environ.get("TIERFLOW_REPLICATION", "1"),
            "TIERFLOW_AUTH": "open",
            "TIERFLOW_HOST": "127.0.0.1",
        }
        pids = {part.name: part.pid for part in state.parts if part.pid is not None}
        yield Infrastructure(state.kafka_bootstrap, prefix, {**kept, **environment}, pids, root, guard)
        fine = True
    except Exception:
        say(f"logs stay in {root / 'logs'}")
        raise
    finally:
        await stack.stop()
        guard.close()
        lock.release()
        if fine:
            shutil.rmtree(root, ignore_errors=True)
