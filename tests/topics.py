"""Topics on the broker of the tests: there for everybody before a test goes on."""

import contextlib
import time
from collections.abc import Collection

from confluent_kafka.admin import AdminClient

from connectors.kafka.admin import create_topics
from schemas.errors import UnavailableError
from streams.settings import KafkaSettings

TRIES = 4
LIMIT_S = 60.0


def made_topics(kafka: KafkaSettings) -> None:
    """Make the product's that are missing. A busy broker needs more than the command's half minute."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(UnavailableError):
            create_topics(kafka)
            return
    create_topics(kafka)


def await_known(admin: AdminClient, names: Collection[str]) -> None:
    """Return when the broker that is asked knows these topics and their leaders: the controller made them."""
    deadline = time.monotonic() + LIMIT_S
    while not _are_known(admin, names):
        assert time.monotonic() < deadline, f"the broker does not know {names}"
        time.sleep(0.02)


def _are_known(admin: AdminClient, names: Collection[str]) -> bool:
    topics = admin.list_topics(timeout=LIMIT_S).topics
    return all(
        name in topics
        and topics[name].partitions
        and all(partition.leader >= 0 for partition in topics[name].partitions.values())
        for name in names
    )
