"""Everything of one run: services, links to them, roles, a recording provider, and the naive peers."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ops.stack.leash import leashed
from ops.stack.state import PartState
from ops.stack.status import HEALTHY
from streams.settings import KafkaSettings, load
from tests.chaos.disks import Disk, NoDisk
from tests.chaos.link import Link
from tests.chaos.widened import bootstrap_of, linked_brokers, small_disks
from tests.integration.agents.emulators import ROOT, emulator, free_port
from tests.stack import TestStack, clean_environment

PARTITIONS = 4


@dataclass
class Kept:
    """A process that is started again whenever it ends, as a supervisor would."""

    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str]
    pause_s: float = 0.5
    pid: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def running(self) -> Iterator["Kept"]:
        """Keep it until the block ends."""
        thread = threading.Thread(target=self._keep, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            thread.join()

    def _keep(self) -> None:
        while not self._stop.is_set():
            with self.log.open("ab") as output:
                child = subprocess.Popen(
                    self.command, stdout=output, stderr=output, cwd=ROOT, env=dict(self.environment)
                )
            self.pid = child.pid
            child.wait()
            self._stop.wait(self.pause_s)


@dataclass
class Surroundings:
    """What runs, and how to reach it."""

    services: TestStack
    roles: TestStack
    links: dict[str, Link]
    naive: dict[str, Kept]
    stripe_url: str
    kafka: KafkaSettings
    disks: dict[str, Disk] = field(default_factory=dict)
    no_disk: str = ""
    """Why there are no small disks."""

    def pid(self, name: str) -> int | None:
        """The process behind a name as it is now; None between two."""
        if name in self.naive:
            return self.naive[name].pid or None
        part = self.part(name)
        return part.pid if part else None

    def part(self, name: str) -> PartState | None:
        """A part of either stack."""
        parts = (*self.services.state.parts, *self.roles.state.parts)
        return next((part for part in parts if part.name == name and part.pid is not None), None)


@contextlib.contextmanager
def surroundings(folder: Path, brokers: int, *, wide: bool = False) -> Iterator[Surroundings]:
    """Start everything, end everything with the block; `wide`: with small disks and links to the brokers."""
    with contextlib.ExitStack() as ends:
        services = TestStack(
            folder / "services", "--infrastructure", "--brokers", str(brokers),
            environment={"KAFKA_OPTS": f"-XX:ErrorFile={folder}/java-error.log"},
        )  # fmt: skip
        links: dict[str, Link] = {}
        disks: dict[str, Disk] = {}
        no_disk = ""
        if wide:
            with services:  # makes the data that the disks are to hold, and chooses the ports
                state = services.state
            links |= linked_brokers(services, state, ends)
            try:
                for name, disk in small_disks(services, TestStack(folder / "roles"), brokers):
                    disks[name] = ends.enter_context(disk)
            except NoDisk as why:
                no_disk = str(why)
        ends.enter_context(services)
        links |= {
            "postgres-link": ends.enter_context(_link(services.state.database_url)),
            "valkey-link": ends.enter_context(_link(services.state.redis_url)),
        }
        stripe_url = f"http://127.0.0.1:{free_port()}"
        port = str(urlsplit(stripe_url).port)
        ends.enter_context(emulator("stripe", f"{stripe_url}/_control", "--port", port))
        environment = _environment(services, links, stripe_url, brokers)
        roles = TestStack(folder / "roles", "--partitions", str(PARTITIONS), environment=environment)
        ends.enter_context(roles)
        # Load and count go to the brokers directly: what they see is not to depend on the links.
        direct = {"KAFKA_BOOTSTRAP_SERVERS": services.state.kafka_bootstrap}
        kafka = load(environment | direct | {"TIERFLOW_PARTITIONS": str(PARTITIONS)}).kafka
        naive = {
            name: ends.enter_context(_naive(name, folder, services))
            for name in ("naive-sink", "naive-worker")
        }
        yield Surroundings(services, roles, links, naive, stripe_url, kafka, disks, no_disk)


def _environment(
    services: TestStack, links: Mapping[str, Link], stripe_url: str, brokers: int
) -> dict[str, str]:
    state = services.state
    return {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_of(links) or state.kafka_bootstrap,
        "TIERFLOW_REPLICATION": "3" if brokers >= 3 else "1",
        "DATABASE_URL": _through(state.database_url, links["postgres-link"]),
        "REDIS_URL": _through(state.redis_url, links["valkey-link"]),
        "STRIPE_SECRET_KEY": "sk_test_chaos",
        "STRIPE_API_BASE": stripe_url,
    }


def _link(url: str) -> contextlib.AbstractContextManager[Link]:
    where = urlsplit(url)
    assert where.hostname is not None
    assert where.port is not None
    return Link(where.hostname, where.port).running()


def _through(url: str, link: Link) -> str:
    where = urlsplit(url)
    return url.replace(f"{where.hostname}:{where.port}", f"127.0.0.1:{link.port}")


def _naive(name: str, folder: Path, services: TestStack) -> contextlib.AbstractContextManager[Kept]:
    state = services.state
    module = f"tests.chaos.{name.replace('-', '_')}"
    arguments = (state.kafka_bootstrap, state.database_url, str(folder / name), str(PARTITIONS))
    command = leashed((sys.executable, "-m", module, *arguments), signal.SIGKILL)
    return Kept(tuple(command), folder / f"{name}.log", clean_environment({})).running()


def wait_until_ready(around: Surroundings, limit_s: float) -> list[str]:
    """Wait until every part answers; the names of those that do not."""
    deadline = time.monotonic() + limit_s
    while True:
        reports = (around.services.report(), around.roles.report())
        sick = [part["name"] for report in reports for part in report["parts"] if part["health"] != HEALTHY]
        if not sick or time.monotonic() > deadline:
            return sick
        time.sleep(0.5)
