"""Starts roles for a benchmark: the commands that `tierflow up` uses, some replaced by our own process."""

import json
import os
import re
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.bench.infrastructure import Infrastructure
from ops.bench.role_process import PROFILE
from ops.stack import process
from ops.stack.ports import LOOPBACK, Ports
from ops.stack.roles import ROLES, Role, role_part
from ops.stack.services import together

COMMAND = (sys.executable, "-m", "ops.cli.main")
_TRANSACTIONS = re.compile(r"^tierflow_engine_transactions_total (\S+)", re.MULTILINE)
OURS = (sys.executable, "-m", "ops.compiled.run", "ops.bench.role_process")


_GAUGES = {name: re.compile(rf"^{name} (\S+)", re.MULTILINE) for name in ("jobs_running", "jobs_in_memory")}


@dataclass(frozen=True)
class Running:
    """The roles that run: their processes, the gateway's address, and where their samples will be."""

    pids: Mapping[str, int]
    gateway_url: str
    metrics_urls: Mapping[str, str]
    profiles: dict[str, Path] = field(default_factory=dict)

    def transactions(self) -> dict[str, float]:
        """Transactions that the roles with an engine have committed so far. Blocks."""
        found = {name: _TRANSACTIONS.search(_page(url)) for name, url in self.metrics_urls.items()}
        return {name: float(seen[1]) for name, seen in found.items() if seen}

    def gauge(self, role: str, name: str) -> int:
        """A gauge of a worker, by its metric's name. Blocks."""
        seen = _GAUGES[name].search(_page(self.metrics_urls[role]))
        return round(float(seen[1])) if seen else 0

    def sample(self, on: bool) -> None:
        """Begin or end the sampling of the roles that were started for it."""
        for name in self.profiles:
            os.kill(self.pids[name], signal.SIGUSR1 if on else signal.SIGUSR2)

    def samples(self) -> dict[str, Any]:
        """What the sampled roles wrote when they stopped."""
        return {name: json.loads(path.read_text()) for name, path in self.profiles.items()}


@asynccontextmanager
async def roles(
    on: Infrastructure, names: tuple[str, ...], replaced: Mapping[str, tuple[str, ...]], *, profile: bool,
    extra: Mapping[str, str] | None = None,
) -> AsyncIterator[Running]:  # fmt: skip
    """Start the named roles and stop them at the end.

    `replaced`: role -> arguments of our own process; `extra`: more of their environment.
    """
    ports = Ports({})
    gateway = ports.get("gateway")
    pids: dict[str, int] = {}
    urls: dict[str, str] = {}
    running = Running(pids, f"http://{LOOPBACK}:{gateway}", urls)
    children: list[process.Process] = []
    try:
        for known in (role for role in ROLES if role.name in names):
            role, command = _replaced(known, replaced)
            metrics_port = ports.get(role.name)
            environment = {**on.environment, **(extra or {}), "TIERFLOW_DATA_DIR": _folder(on, role.name)}
            if profile and role.name in replaced:
                running.profiles[role.name] = on.folder / f"{role.name}.samples.json"
                environment[PROFILE] = str(running.profiles[role.name])
            part = role_part(
                role, port=gateway, metrics_port=metrics_port, environment=environment,
                command=command,
            )  # fmt: skip
            children.append(await process.start(part, on.log(role.name), on.guard))
            pids[role.name] = children[-1].pid
            urls[role.name] = f"http://{LOOPBACK}:{metrics_port}/metrics"
        await together(*(child.ready() for child in children))
        yield running
    finally:
        for child in children:
            await child.stop()


def _page(url: str) -> str:
    # No proxy: the roles are on loopback, whatever http_proxy says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        return str(answer.read().decode())


def _replaced(role: Role, replaced: Mapping[str, tuple[str, ...]]) -> tuple[Role, tuple[str, ...]]:
    if role.name not in replaced:
        return role, COMMAND
    return Role(role.name, replaced[role.name]), OURS


def _folder(on: Infrastructure, name: str) -> str:
    folder = on.folder / "roles" / name
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
