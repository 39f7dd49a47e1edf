"""Tierflow's roles as data: what `tierflow up` starts once the services are there."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from ops.stack.part import Part
from ops.stack.ports import LOOPBACK


@dataclass(frozen=True)
class Role:
    """One role: its name, its command line, and the path that answers 200 when it is ready."""

    name: str
    args: tuple[str, ...]
    health_path: str = "/health/ready"
    serves: bool = False
    """Its health is asked on the port that it serves (TIERFLOW_PORT) instead of on its metrics port."""


ROLES = (
    Role("router", ("router",)),
    Role("limiter", ("limiter",)),
    Role("worker-1", ("worker", "1")),
    Role("worker-2", ("worker", "2")),
    Role("worker-3", ("worker", "3")),
    Role("sink", ("sink",)),
    Role("monitor", ("monitor",)),
    Role("gateway", ("gateway",), serves=True),
)


def role_part(
    role: Role,
    *,
    port: int,
    metrics_port: int,
    environment: Mapping[str, str],
    command: tuple[str, ...] = (sys.executable, "-m", "ops.cli.main"),
) -> Part:
    """Return the role as a part. `environment` is what all roles share; its own variables are added."""
    asked = port if role.serves else metrics_port
    return Part(
        name=role.name,
        argv=(*command, *role.args),
        health=f"http://{LOOPBACK}:{asked}{role.health_path}",
        address=f"http://{LOOPBACK}:{asked}",
        env={
            **environment,
            "TIERFLOW_INSTANCE": f"{role.name}-0",
            "TIERFLOW_PORT": str(port),
            "TIERFLOW_METRICS_PORT": str(metrics_port),
            "PYTHONUNBUFFERED": "1",
        },
    )
