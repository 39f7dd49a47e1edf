"""Where a replay may write: a topic of one's own freely, an ingress topic only when effects are wanted."""

import contextlib

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.errors import ConfigError, UnavailableError
from streams.settings import KafkaSettings
from streams.topics import Topology

_TIMEOUT_S = 30.0


def check_target(topology: Topology, source: str, target: str, *, with_effects: bool) -> None:
    """ConfigError when records of `source` must not be written to `target`."""
    declared = {topic.name: topic for topic in topology.topics()}
    wanted = declared.get(target)
    if wanted is None:
        return
    if target not in (topology.events, topology.job_requests):
        raise ConfigError(
            f"{target} is written by Tierflow alone, in transactions with its state. Replay into"
            f" {topology.events} or {topology.job_requests}, or into a topic of another name"
        )
    # A copy of somebody's own may hold anything; the router looks at each record anyway.
    if source in declared and declared[source].record is not wanted.record:
        raise ConfigError(f"{target} does not take what {source} holds: their records are of different kinds")
    if not with_effects:
        raise ConfigError(
            f"what is written to {target} runs again, with its effects at providers: say --with-effects"
        )


def ensure_target(kafka: KafkaSettings, target: str, partitions: int) -> bool:
    """Create a topic of one's own when it is missing; whether it was."""
    admin = AdminClient({**kafka.client(), "socket.timeout.ms": 10_000, "log_level": 2})
    wanted = NewTopic(target, num_partitions=partitions, replication_factor=kafka.replication)
    for answer in admin.create_topics([wanted], operation_timeout=_TIMEOUT_S).values():
        try:
            answer.result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise UnavailableError(f"cannot create {target}: {error.args[0].str()}") from error
    with contextlib.suppress(KafkaException):
        admin.list_topics(target, timeout=_TIMEOUT_S)
    return True
