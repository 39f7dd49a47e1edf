"""The local Kafka: one or three nodes, each broker and controller, formatted once, on loopback."""

import asyncio
import base64
import shlex
import shutil
import signal
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.stack.folder import DataFolder
from ops.stack.leash import Guard
from ops.stack.part import Part
from ops.stack.ports import LOOPBACK
from ops.stack.process import run_once

# For a development machine: little memory, quick to start. The heap carries some hundred partitions.
JVM = (
    "-Xms128m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    # The second compiler takes half of a broker's CPU for minutes, and what it makes is no faster here.
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)

SETTINGS = {
    "process.roles": "broker,controller",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    # Topics are declared and created by us; a misspelt one must fail.
    "auto.create.topics.enable": "false",
    "log.cleaner.dedupe.buffer.size": "2097152",
    # A broker killed with SIGKILL may register again only after its session ends (default 9 s).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # KIP-848 groups: fail over in seconds; a dead owner's transaction is aborted soon.
    "group.consumer.min.session.timeout.ms": "3000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "num.network.threads": "2",
    "num.io.threads": "4",
}


@dataclass(frozen=True)
class Node:
    """One node: its number and its two ports."""

    number: int
    port: int
    controller_port: int

    @property
    def name(self) -> str:
        """The part's name."""
        return f"kafka-{self.number}"

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"{LOOPBACK}:{self.port}"


@dataclass(frozen=True)
class Cluster:
    """The nodes and the id that ties their data together."""

    cluster_id: str
    nodes: tuple[Node, ...]

    @property
    def bootstrap(self) -> str:
        """All addresses, as clients want them."""
        return ",".join(node.address for node in self.nodes)

    @property
    def replication(self) -> int:
        """Copies of each partition: 3 from three nodes on, else 1."""
        return 3 if len(self.nodes) >= 3 else 1


def java_command(java: Path, jars: Path, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the command up to the class to run. KAFKA_OPTS adds options, as in Kafka's own scripts."""
    return (str(java), *JVM, *shlex.split(environment.get("KAFKA_OPTS", "")), "-cp", f"{jars}/*")


def new_cluster_id() -> str:
    """Return a random id as Kafka writes it: 22 characters, never starting with a dash."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not made.startswith("-"):
            return made


def properties(cluster: Cluster, node: Node, data: Path) -> str:
    """Return the text of the node's configuration file."""
    copies = str(cluster.replication)
    in_sync = "2" if cluster.replication == 3 else "1"
    settings = {
        **SETTINGS,
        "node.id": str(node.number),
        "controller.quorum.voters": ",".join(
            f"{n.number}@{LOOPBACK}:{n.controller_port}" for n in cluster.nodes
        ),
        "listeners": f"PLAINTEXT://{node.address},CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "log.dirs": str(data),
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


async def node_part(
    cluster: Cluster, node: Node, java: tuple[str, ...], folder: DataFolder, guard: Guard
) -> Part:
    """Write the node's configuration, format its data the first time, and return it as a part.

    What stands in `kafka/NUMBER.more.properties` counts before our settings.
    """
    data = folder.root / "kafka" / str(node.number)
    data.parent.mkdir(exist_ok=True)
    if not data.is_dir():
        await _format(cluster, node, java, data, folder.log(node.name), guard)
    configuration = data.with_suffix(".properties")
    await asyncio.to_thread(configuration.write_text, properties(cluster, node, data) + _more(data))
    return Part(
        name=node.name,
        argv=(*java, "kafka.Kafka", str(configuration)),
        health=f"kafka://{node.address}?node={node.number}",
        address=node.address,
        # A clean stop writes what a start after SIGKILL would have to check and recover.
        orphan_signal=signal.SIGTERM,
        stop_limit_s=20,
    )


def _more(data: Path) -> str:
    """Settings of somebody's own. They come last, which is what counts in such a file."""
    own = data.with_suffix(".more.properties")
    return own.read_text() if own.is_file() else ""


async def _format(
    cluster: Cluster, node: Node, java: tuple[str, ...], data: Path, log: Path, guard: Guard
) -> None:
    # Formatted beside its place and then moved there: an interrupted one is no data.
    fresh = data.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    configuration = fresh.with_suffix(".new.properties")
    configuration.write_text(properties(cluster, node, fresh))
    command = ("kafka.tools.StorageTool", "format", "-t", cluster.cluster_id, "-c", str(configuration))
    await run_once(f"format {node.name}", (*java, *command), log, guard)
    configuration.unlink()
    fresh.rename(data)
