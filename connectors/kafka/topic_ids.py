"""Which incarnation of a topic this is, asked over a connection of its own."""

from collections.abc import Collection

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas.errors import UnavailableError
from streams.settings import KafkaSettings
from streams.transport import incarnations


class TopicIds:
    """Asks the brokers. Any thread may ask.

    One client for as long as it lives: the end of a client has hung or aborted the process now and then
    (librdkafka's issues 4519 and 4605), and the sink asks several times a minute.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._admin = AdminClient({**kafka.client(), "socket.timeout.ms": 10_000, "log_level": 2})

    def of(self, names: Collection[str]) -> dict[str, str]:
        """The ids of those topics that there are. Blocks for some seconds at most; UnavailableError."""
        try:
            return incarnations.topic_ids(self._admin, names)
        except (KafkaException, TimeoutError) as error:
            raise UnavailableError(f"Kafka does not tell its topics' ids: {error}") from error
