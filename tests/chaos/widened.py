"""What a wide run has besides: small disks for the parts that keep data, a link in front of each broker.

The services have run once before, so that their data and their ports are there, and stand still.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ops.stack.state import StackState
from tests.chaos.disks import SIZES_MB, Disk, small_disk
from tests.chaos.link import Link
from tests.integration.agents.emulators import free_port
from tests.stack import TestStack

# The roles come by a listener of their own, whose advertised address is the link's.
_LISTENERS = """\
listeners=PLAINTEXT://{address},CONTROLLER://{controller},ROLES://127.0.0.1:{port}
advertised.listeners=PLAINTEXT://{address},ROLES://127.0.0.1:{link}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,ROLES:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
"""


def small_disks(
    services: TestStack, roles: TestStack, brokers: int
) -> Iterator[tuple[str, contextlib.AbstractContextManager[Disk]]]:
    """A disk for each broker, PostgreSQL, Valkey and one worker's local store, to be entered."""
    root = services.folder.root
    for number in range(1, brokers + 1):
        yield f"kafka-{number}-disk", small_disk(root / "kafka" / str(number), SIZES_MB["kafka"])
    for name in ("postgres", "valkey"):
        yield f"{name}-disk", small_disk(root / name, SIZES_MB[name])
    roles.folder.create()
    store = roles.folder.root / "roles" / "worker-2"
    store.mkdir(parents=True)
    yield "worker-2-disk", small_disk(store, SIZES_MB["worker"])


def linked_brokers(services: TestStack, state: StackState, ends: contextlib.ExitStack) -> dict[str, Link]:
    """A link in front of each broker, from the next start of the services on."""
    links = {}
    for number, address in enumerate(state.kafka_bootstrap.split(","), start=1):
        port = free_port()
        link = links[f"kafka-{number}-link"] = ends.enter_context(Link("127.0.0.1", port).running())
        folder: Path = services.folder.root / "kafka"
        (folder / f"{number}.more.properties").write_text(
            _LISTENERS.format(
                address=address,
                controller=_controller(folder / f"{number}.properties"),
                port=port,
                link=link.port,
            )
        )
    return links


def bootstrap_of(links: Mapping[str, Link]) -> str:
    """Where the roles find the brokers; empty without links."""
    return ",".join(f"127.0.0.1:{link.port}" for name, link in links.items() if name.startswith("kafka-"))


def _controller(configuration: Path) -> str:
    """The address on which this node's controller listens."""
    lines = (line.partition("=") for line in configuration.read_text().splitlines())
    listeners = next(value for name, _, value in lines if name == "listeners").split(",")
    return next(urlsplit(each).netloc for each in listeners if each.startswith("CONTROLLER"))
