"""Topics at the broker: created as the topology declares them, and compared with it.

Never changes or deletes a topic that is there: partition counts hang on the keys, and settings may have been
changed by an operator on purpose. The differences are told instead.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource  # the package does not re-export it for types
from confluent_kafka.cimpl import NewTopic

from schemas.errors import ConfigError, UnavailableError
from streams.settings import KafkaSettings
from streams.topics import Topic, Topology

TIMEOUT_S = 30.0
CONTROL_PARTITIONS = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the cluster is not what the topology says; `sentence` tells a person, with the fix."""

    topic: str
    kind: Literal["missing", "partitions", "config"]
    sentence: str


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it stands at the broker; `config` holds what was set for the topic or comes as default."""

    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


def create_topics(kafka: KafkaSettings) -> list[str]:
    """Create the topics that are missing and return their names; what is there is left as it is.

    Blocks up to half a minute. Raises UnavailableError without a broker, ConfigError when a topic that is
    there has another partition count, because every key would go astray.
    """
    topology = Topology.of(kafka)
    admin = _client(kafka)
    present = _partitions(admin)
    wrong = [d.sentence for d in compare(topology, _as_found(present)) if d.kind == "partitions"]
    if wrong:
        raise ConfigError("\n".join(wrong))
    missing = [topic for topic in topology.topics() if topic.name not in present]
    created = _create(admin, topology, missing)
    _await_known(admin, {topic.name for topic in missing})
    return created


def check_topics(kafka: KafkaSettings) -> list[str]:
    """What differs between the cluster and the topology, as sentences; empty when nothing does."""
    return [difference.sentence for difference in differences(kafka)]


def differences(kafka: KafkaSettings) -> list[Difference]:
    """What differs between the cluster and the topology. Blocks; UnavailableError without a broker."""
    topology = Topology.of(kafka)
    admin = _client(kafka)
    present = _partitions(admin)
    ours = [topic.name for topic in topology.topics() if topic.name in present]
    configs = _configs(admin, ours)
    return compare(topology, {name: Found(present[name], configs[name]) for name in ours})


def compare(topology: Topology, found: Mapping[str, Found]) -> list[Difference]:
    """The differences between what is declared and what was found, topic by topic."""
    return [
        difference
        for topic in topology.topics()
        for difference in _compare_topic(topology, topic, found.get(topic.name))
    ]


def partitions_of(topology: Topology, topic: Topic) -> int:
    """How many partitions a topic has: the common count, or one where no key needs a place."""
    return topology.partitions if topic.keyed else CONTROL_PARTITIONS


def _compare_topic(topology: Topology, topic: Topic, found: Found | None) -> list[Difference]:
    if found is None:
        sentence = f"{topic.name} is missing; `tierflow topics create` creates it"
        return [Difference(topic.name, "missing", sentence)]
    wanted = partitions_of(topology, topic)
    if found.partitions != wanted:
        sentence = (
            f"{topic.name} has {found.partitions} partitions instead of {wanted}; the count cannot change in "
            f"place: set TIERFLOW_PARTITIONS={found.partitions}, or use another TIERFLOW_TOPIC_PREFIX"
        )
        return [Difference(topic.name, "partitions", sentence)]
    return [
        Difference(
            topic.name, "config", f"{topic.name} has {name}={found.config[name]} instead of {value}"
        )
        for name, value in topic.config(topology.min_in_sync).items()
        if found.config.get(name, value) != value
    ]  # fmt: skip


def _as_found(partitions: Mapping[str, int]) -> dict[str, Found]:
    return {name: Found(count) for name, count in partitions.items()}


def _client(kafka: KafkaSettings) -> AdminClient:
    return AdminClient({**kafka.client(), "socket.timeout.ms": 10_000, "log_level": 2})


def _partitions(admin: AdminClient) -> dict[str, int]:
    try:
        topics = admin.list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise UnavailableError(f"Kafka does not answer: {error.args[0].str()}") from error
    return {name: len(topic.partitions) for name, topic in topics.items()}


def _create(admin: AdminClient, topology: Topology, missing: list[Topic]) -> list[str]:
    """Create topics; one that somebody else created meanwhile is fine and not counted."""
    if not missing:
        return []
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=partitions_of(topology, topic),
            replication_factor=topology.replication,
            config=topic.config(topology.min_in_sync),
        )
        for topic in missing
    ]
    answers = admin.create_topics(wanted, operation_timeout=TIMEOUT_S, request_timeout=TIMEOUT_S)
    return [name for name, answer in answers.items() if _created(name, answer)]


def _await_known(admin: AdminClient, names: set[str]) -> None:
    """Return when the broker that we ask knows the topics: the controller answers before all brokers do."""
    deadline = time.monotonic() + TIMEOUT_S
    while not names <= _partitions(admin).keys():
        if time.monotonic() > deadline:
            raise UnavailableError("Kafka created the topics but does not list them")
        time.sleep(0.05)


def _created(name: str, answer: "Future[None]") -> bool:
    try:
        answer.result(TIMEOUT_S)
    except KafkaException as error:
        code: KafkaError = error.args[0]
        if code.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        if code.retriable() or code.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT):
            raise UnavailableError(f"cannot create {name}: {code.str()}") from error
        raise ConfigError(f"cannot create {name}: {code.str()}") from error
    return True


def _configs(admin: AdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    answers = admin.describe_configs(resources, request_timeout=TIMEOUT_S)
    return {resource.name: _values(answer) for resource, answer in answers.items()}


def _values(answer: "Future[dict[str, Any]]") -> dict[str, str]:
    try:
        return {name: entry.value for name, entry in answer.result(TIMEOUT_S).items()}
    except KafkaException as error:
        raise UnavailableError(f"Kafka does not tell its settings: {error.args[0].str()}") from error
