"""The servers that a benchmark runs on: its own, in a temporary folder, or the Kafka that is named.

With KAFKA_BOOTSTRAP_SERVERS set that Kafka is used (topics of our own prefix, deleted at the end); PostgreSQL
and Valkey, where they are needed, are always our own, so that nobody's data is touched.
"""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ops.bench.offsets import delete_topics
from ops.stack.errors import StackError
from ops.stack.folder import DataFolder, FolderLock
from ops.stack.health import ask
from ops.stack.leash import Guard
from ops.stack.local_stack import LocalStack, Wish
from ops.stack.progress import Say
from ops.stack.services import KAFKA_VARIABLE, POSTGRES_VARIABLE, REDIS_VARIABLE

PARTITIONS = 4
# What would change what is measured, or whose data is touched.
_FOREIGN = (POSTGRES_VARIABLE, REDIS_VARIABLE, "TIERFLOW_", "JWT_")

Servers = tuple[Mapping[str, str], Mapping[str, int]]
"""The addresses as environment, and the processes by name."""


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
async def infrastructure(
    say: Say, *, databases: bool = True, partitions: int = PARTITIONS
) -> AsyncIterator[Infrastructure]:
    """Start the servers, stop them at the end and remove what they wrote. StackError when they do not start.

    Without `databases` Kafka is enough. After an error the folder stays, because the logs are in it.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    folder = DataFolder(Path(tempfile.mkdtemp(prefix="tierflow-bench-")))
    folder.create()
    guard = Guard()
    given = kept.get(KAFKA_VARIABLE)
    servers = _nothing(given) if given and not databases else _stack(folder, kept, say, partitions)
    fine = False
    try:
        async with servers as (addresses, pids):
            prefix = f"bench-{secrets.token_hex(4)}."
            environment = {**kept, **addresses, **_settings(prefix, partitions)}
            on = Infrastructure(addresses[KAFKA_VARIABLE], prefix, environment, pids, folder.root, guard)
            try:
                yield on
            finally:
                await asyncio.to_thread(delete_topics, on.bootstrap, prefix)
        fine = True
    finally:
        guard.close()
        if fine:
            shutil.rmtree(folder.root, ignore_errors=True)
        else:
            say(f"logs stay in {folder.logs}")


def _settings(prefix: str, partitions: int) -> dict[str, str]:
    """What makes the roles ours alone."""
    return {
        "TIERFLOW_TOPIC_PREFIX": prefix,
        "TIERFLOW_PARTITIONS": str(partitions),
        "TIERFLOW_REPLICATION": os.environ.get("TIERFLOW_REPLICATION", "1"),
        "TIERFLOW_AUTH": "open",
        "TIERFLOW_HOST": "127.0.0.1",
    }


@asynccontextmanager
async def _nothing(bootstrap: str) -> AsyncIterator[Servers]:
    """Somebody else's Kafka alone."""
    reason = await asyncio.to_thread(ask, f"kafka://{bootstrap.partition(',')[0].strip()}", 5.0)
    if reason:
        raise StackError(
            f"kafka at {bootstrap} does not answer: {reason}", f"unset {KAFKA_VARIABLE} to start one here"
        )
    yield {KAFKA_VARIABLE: bootstrap}, {}


@asynccontextmanager
async def _stack(
    folder: DataFolder, environment: Mapping[str, str], say: Say, partitions: int
) -> AsyncIterator[Servers]:
    """The services of `tierflow up --infrastructure`."""
    lock = FolderLock(folder)
    stack = LocalStack(Wish(folder, partitions=partitions, infrastructure=True), environment, say)
    try:
        await stack.start()
        state = stack.state()
        addresses = {
            KAFKA_VARIABLE: state.kafka_bootstrap,
            POSTGRES_VARIABLE: state.database_url,
            REDIS_VARIABLE: state.redis_url,
        }
        yield addresses, {part.name: part.pid for part in state.parts if part.pid is not None}
    finally:
        await stack.stop()
        lock.release()
