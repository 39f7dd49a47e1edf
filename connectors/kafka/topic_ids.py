"""Which incarnation of a topic this is, asked by a process of its own connection."""

from collections.abc import Collection

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas.errors import UnavailableError
from streams.settings import KafkaSettings
from streams.transport import incarnations


def topic_ids(kafka: KafkaSettings, names: Collection[str]) -> dict[str, str]:
    """The ids of those topics that there are. Blocks for some seconds at most; UnavailableError."""
    admin = AdminClient({**kafka.client(), "socket.timeout.ms": 10_000, "log_level": 2})
    try:
        return incarnations.topic_ids(admin, names)
    except (KafkaException, TimeoutError) as error:
        raise UnavailableError(f"Kafka does not tell its topics' ids: {error}") from error
