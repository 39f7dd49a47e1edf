"""The whole stack: services, then migrations and topics, then roles; and back again."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.stack import state
from ops.stack.folder import DataFolder
from ops.stack.leash import Guard
from ops.stack.ports import LOOPBACK, Ports
from ops.stack.prepare import create_topics, migrate
from ops.stack.process import created_at
from ops.stack.progress import Say
from ops.stack.roles import ROLES, Role, role_part
from ops.stack.services import Addresses, Services, addresses, together
from ops.stack.shape import load_shape, save_shape
from ops.stack.supervisor import Supervisor

DEFAULT_PORT = 3020
AUTH_VARIABLES = ("TIERFLOW_AUTH", "JWT_PUBLIC_KEY", "JWT_JWKS_URL", "JWT_SECRET")


@dataclass(frozen=True)
class Wish:
    """What `tierflow up` was asked for; None means: as before, else the default."""

    folder: DataFolder
    port: int | None = None
    brokers: int | None = None
    partitions: int | None = None
    infrastructure: bool = False
    """Only Kafka, PostgreSQL and Valkey: no migrations, no topics, no roles."""


class LocalStack:
    """One stack on one data folder, whose lock the caller holds."""

    def __init__(self, wish: Wish, environment: Mapping[str, str], say: Say) -> None:
        """Choose ports; StackError when the wish cannot be met. Starts no part yet, only the guard."""
        self._wish = wish
        self._say = say
        self._folder = wish.folder
        self._shape = load_shape(wish.folder.shape, wish.brokers, wish.partitions)
        ports = Ports(self._shape.ports)
        self._port = None if wish.infrastructure else self._gateway_port(ports)
        self._at = addresses(self._shape, ports, environment)
        self._metrics = {role.name: ports.get(f"{role.name}-metrics") for role in self._roles()}
        save_shape(wish.folder.shape, self._shape)
        self._environment = environment
        self._phase = state.STARTING
        guard = Guard()
        self._guard = guard
        self._supervisor = Supervisor(wish.folder, guard, say, self._write_state)
        self._services = Services(
            self._shape, self._at, wish.folder, environment, self._supervisor, guard, say
        )

    async def start(self) -> None:
        """Return when everything is ready. StackError otherwise; call `stop` in every case."""
        self._write_state()
        services = self._services
        if self._wish.infrastructure:
            await together(services.kafka(), services.postgres(), services.valkey())
        else:
            await together(self._kafka_with_topics(), self._postgres_with_tables(), services.valkey())
            await together(*(self._start_role(role) for role in self._roles()))
        self._phase = state.READY
        self._write_state()

    async def stop(self) -> None:
        """Stop roles first, then services. Returns when nothing runs."""
        self._phase = state.STOPPING
        self._write_state()
        names = [part.name for part in self._supervisor.parts() if self._supervisor.keeps(part.name)]
        roles = {role.name for role in ROLES}
        for group in ([n for n in names if n in roles], [n for n in names if n not in roles]):
            if group:
                began = time.monotonic()
                await self._supervisor.stop(group)
                self._say(f"stopped: {', '.join(group)} ({time.monotonic() - began:.1f} s)")
        self._guard.close()
        self._folder.state.unlink(missing_ok=True)

    def kill(self) -> None:
        """SIGKILL all parts; `stop` then has nothing to wait for."""
        self._supervisor.kill()

    def state(self) -> state.StackState:
        """Return what runs now."""
        return state.StackState(
            supervisor=os.getpid(),
            created=created_at(os.getpid()),
            phase=self._phase,
            data=str(self._folder.root),
            gateway_url=f"http://{LOOPBACK}:{self._port}" if self._port else None,
            kafka_bootstrap=self._at.kafka_bootstrap,
            database_url=self._at.database_url,
            redis_url=self._at.redis_url,
            parts=self._supervisor.parts(),
        )

    async def _kafka_with_topics(self) -> None:
        await self._services.kafka()
        await self._timed("topics", create_topics)

    async def _postgres_with_tables(self) -> None:
        await self._services.postgres()
        await self._timed("migrations", migrate)

    async def _timed(self, what: str, work: Callable[[Mapping[str, str]], list[str]]) -> None:
        began = time.monotonic()
        done = await asyncio.to_thread(work, {**self._environment, **self._role_environment()})
        self._say(f"{what}: {len(done) or 'nothing'} new ({time.monotonic() - began:.1f} s)")

    async def _start_role(self, role: Role) -> None:
        own = self._folder.root / "roles" / role.name
        own.mkdir(parents=True, exist_ok=True)
        part = role_part(
            role,
            port=self._port or 0,
            metrics_port=self._metrics[role.name],
            environment={**self._role_environment(), "TIERFLOW_DATA_DIR": str(own)},
        )
        await self._supervisor.bring_up(part)

    def _role_environment(self) -> dict[str, str]:
        return role_environment(self._at, self._shape.partitions, self._environment)

    def _roles(self) -> tuple[Role, ...]:
        return () if self._wish.infrastructure else ROLES

    def _gateway_port(self, ports: Ports) -> int:
        if self._wish.port == 0:
            return ports.get("gateway")
        if self._wish.port is not None:
            return ports.claim("gateway", self._wish.port)
        chosen = ports.prefer("gateway", DEFAULT_PORT)
        if chosen != DEFAULT_PORT:
            self._say(f"port {DEFAULT_PORT} is taken, the gateway gets {chosen} (--port chooses)")
        return chosen

    def _write_state(self) -> None:
        state.write(self._folder.state, self.state())


def role_environment(at: Addresses, partitions: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that all roles share. Open, on loopback, unless identity is configured."""
    # The roles find our packages from a checkout that is not installed, too.
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), environment.get("PYTHONPATH"))))
    shared = {**at.environment(), "TIERFLOW_PARTITIONS": str(partitions), "PYTHONPATH": path}
    if not any(environment.get(name) or environment.get(f"{name}_FILE") for name in AUTH_VARIABLES):
        shared |= {"TIERFLOW_AUTH": "open", "TIERFLOW_HOST": LOOPBACK}
    return shared
