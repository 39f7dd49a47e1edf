"""Starts roles for a benchmark: the commands that `tierflow up` uses, some replaced by our own process."""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.bench.infrastructure import Infrastructure
from ops.bench.role_process import PROFILE
from ops.stack import process
from ops.stack.ports import Ports
from ops.stack.roles import ROLES, Role, role_part
from ops.stack.services import together

COMMAND = (sys.executable, "-m", "ops.cli.main")
OURS = (sys.executable, "-m", "ops.bench.role_process")


@dataclass(frozen=True)
class Running:
    """The roles that run: their processes, the gateway's address, and where their samples will be."""

    pids: Mapping[str, int]
    gateway_url: str
    profiles: dict[str, Path] = field(default_factory=dict)

    def sample(self, on: bool) -> None:
        """Begin or end the sampling of the roles that were started for it."""
        for name in self.profiles:
            os.kill(self.pids[name], signal.SIGUSR1 if on else signal.SIGUSR2)

    def samples(self) -> dict[str, Any]:
        """What the sampled roles wrote when they stopped."""
        return {name: json.loads(path.read_text()) for name, path in self.profiles.items()}


@asynccontextmanager
async def roles(
    on: Infrastructure, names: tuple[str, ...], replaced: Mapping[str, tuple[str, ...]], *, profile: bool
) -> AsyncIterator[Running]:
    """Start the named roles and stop them at the end. `replaced`: role -> arguments of our own process."""
    ports = Ports({})
    gateway = ports.get("gateway")
    pids: dict[str, int] = {}
    running = Running(pids, f"http://127.0.0.1:{gateway}")
    children: list[process.Process] = []
    try:
        for known in (role for role in ROLES if role.name in names):
            role, command = _replaced(known, replaced)
            environment = dict(on.environment) | {"TIERFLOW_DATA_DIR": _folder(on, role.name)}
            if profile and role.name in replaced:
                running.profiles[role.name] = on.folder / f"{role.name}.samples.json"
                environment[PROFILE] = str(running.profiles[role.name])
            part = role_part(
                role, port=gateway, metrics_port=ports.get(role.name), environment=environment,
                command=command,
            )  # fmt: skip
            children.append(await process.start(part, on.log(role.name), on.guard))
            pids[role.name] = children[-1].pid
        await together(*(child.ready() for child in children))
        yield running
    finally:
        for child in children:
            await child.stop()


def _replaced(role: Role, replaced: Mapping[str, tuple[str, ...]]) -> tuple[Role, tuple[str, ...]]:
    if role.name not in replaced:
        return role, COMMAND
    return Role(role.name, replaced[role.name]), OURS


def _folder(on: Infrastructure, name: str) -> str:
    folder = on.folder / "roles" / name
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
