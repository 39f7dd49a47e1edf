"""Kafka, PostgreSQL and Valkey: started here, or used where the environment names one that runs."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ops.stack.errors import StackError
from ops.stack.folder import DataFolder
from ops.stack.health import ask
from ops.stack.java import fetch_jars, find_java
from ops.stack.kafka import Cluster, Node, java_command, node_part
from ops.stack.leash import Guard
from ops.stack.part import External
from ops.stack.ports import Ports
from ops.stack.postgres import create_database, database_url, postgres_part
from ops.stack.progress import Say
from ops.stack.shape import Shape
from ops.stack.supervisor import Supervisor
from ops.stack.valkey import redis_url, valkey_part

KAFKA_VARIABLE, POSTGRES_VARIABLE, REDIS_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "REDIS_URL"


@dataclass(frozen=True)
class Addresses:
    """Where the three services are, whoever runs them."""

    kafka_bootstrap: str
    database_url: str
    redis_url: str
    cluster: Cluster | None

    def environment(self) -> dict[str, str]:
        """Return the variables by which the roles find them."""
        found = {
            KAFKA_VARIABLE: self.kafka_bootstrap,
            POSTGRES_VARIABLE: self.database_url,
            REDIS_VARIABLE: self.redis_url,
        }
        # How many copies somebody else's Kafka can keep is the environment's to say.
        return found | ({"TIERFLOW_REPLICATION": str(self.cluster.replication)} if self.cluster else {})


def addresses(shape: Shape, ports: Ports, environment: Mapping[str, str]) -> Addresses:
    """Return where the services are or, if they are ours, will be."""
    cluster = None
    if not environment.get(KAFKA_VARIABLE):
        numbers = range(1, shape.brokers + 1)
        nodes = (Node(n, ports.get(f"kafka-{n}"), ports.get(f"kafka-{n}-controller")) for n in numbers)
        cluster = Cluster(shape.cluster_id, tuple(nodes))
    return Addresses(
        kafka_bootstrap=environment.get(KAFKA_VARIABLE) or (cluster.bootstrap if cluster else ""),
        database_url=environment.get(POSTGRES_VARIABLE)
        or database_url(ports.get("postgres"), shape.postgres_password),
        redis_url=environment.get(REDIS_VARIABLE) or redis_url(ports.get("valkey")),
        cluster=cluster,
    )


@dataclass(frozen=True)
class Services:
    """Brings the services up, each by itself, so that they start at the same time."""

    shape: Shape
    at: Addresses
    folder: DataFolder
    environment: Mapping[str, str]
    supervisor: Supervisor
    guard: Guard
    say: Say

    async def kafka(self) -> None:
        """Return when all nodes are ready."""
        if self.at.cluster is None:
            health = f"tcp://{self.at.kafka_bootstrap.split(',')[0].strip()}"
            await self._use("kafka", health, self.at.kafka_bootstrap, KAFKA_VARIABLE)
            return
        java = await asyncio.to_thread(find_java, self.environment)
        log = self.folder.log("maven")
        jars = await fetch_jars(java, self.environment, log, self.guard, self.say)
        command = java_command(java, jars, self.environment)
        nodes = (self._node(self.at.cluster, node, command) for node in self.at.cluster.nodes)
        await together(*nodes)

    async def postgres(self) -> None:
        """Return when the server is ready and has our database."""
        if self.environment.get(POSTGRES_VARIABLE):
            await self._use("postgres", self.at.database_url, _place(self.at.database_url), POSTGRES_VARIABLE)
            return
        port, password = self.shape.ports["postgres"], self.shape.postgres_password
        await self.supervisor.bring_up(await postgres_part(port, password, self.folder, self.guard))
        await asyncio.to_thread(create_database, port, password)

    async def valkey(self) -> None:
        """Return when the server is ready."""
        if self.environment.get(REDIS_VARIABLE):
            await self._use("valkey", self.at.redis_url, _place(self.at.redis_url), REDIS_VARIABLE)
            return
        await self.supervisor.bring_up(valkey_part(self.shape.ports["valkey"], self.folder))

    async def _node(self, cluster: Cluster, node: Node, java: tuple[str, ...]) -> None:
        part = await node_part(cluster, node, java, self.folder, self.guard)
        await self.supervisor.bring_up(part)

    async def _use(self, name: str, health: str, address: str, variable: str) -> None:
        reason = await asyncio.to_thread(ask, health, 5.0)
        if reason:
            raise StackError(
                f"{name} at {address} does not answer: {reason}", f"unset {variable} to start one here"
            )
        await self.supervisor.use(External(name, health, address, because=f"{variable} is set"))


def _place(url: str) -> str:
    """Return host and port of a URL, without its password."""
    where = urlsplit(url)
    return f"{where.hostname}:{where.port}" if where.port else str(where.hostname)


async def together(*awaitables: Coroutine[Any, Any, None]) -> None:
    """Await all; when one fails cancel and await the others, then raise that one's error, not a group."""
    tasks = [asyncio.ensure_future(each) for each in awaitables]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
