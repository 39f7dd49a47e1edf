"""What runs, as the supervisor writes it down and `status`, `down` and the tests read it."""

import os
from pathlib import Path

import msgspec

from ops.stack.process import lives

STARTING, READY, STOPPING = "starting", "ready", "stopping"


class PartState(msgspec.Struct, frozen=True):
    """One part: `pid` is None for a service that somebody else runs and for a part between two starts."""

    name: str
    address: str
    health: str
    pid: int | None = None
    created: float = 0.0
    restarts: int = 0
    log: str | None = None


class StackState(msgspec.Struct, frozen=True):
    """The whole stack. Holds the database's password: the file is for its owner only."""

    supervisor: int
    created: float
    phase: str
    data: str
    gateway_url: str | None
    kafka_bootstrap: str
    database_url: str
    redis_url: str
    parts: tuple[PartState, ...] = ()

    def runs(self) -> bool:
        """Say whether the supervisor that wrote this still lives."""
        return lives(self.supervisor, self.created)

    def leftovers(self) -> list[PartState]:
        """Return the parts whose processes live."""
        return [part for part in self.parts if part.pid is not None and lives(part.pid, part.created)]


def read(path: Path) -> StackState | None:
    """Return what was written last, None when nothing was or an older version wrote it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=StackState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write(path: Path, state: StackState) -> None:
    """Replace the file in one step, so that a reader never sees half of it."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(state)))
    fresh.replace(path)
