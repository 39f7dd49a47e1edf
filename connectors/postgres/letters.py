"""Records that the sink cannot write become dead letters, told apart by where they stood."""

from typing import Any, Protocol, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.consuming.loop import source
from connectors.consuming.target import TargetAwayError
from schemas.keys import digest
from schemas.records import DeadLetter
from streams.acknowledgement import refusal
from streams.codec import Codec
from streams.log import get
from streams.settings import KafkaSettings

log = get(__name__)

DELIVERY_TIMEOUT_S = 10.0


class Letterbox(Protocol):
    """Takes dead letters."""

    def post(self, letter: DeadLetter) -> None:
        """Return when the letter is safe. TargetAwayError when it may not be."""


def letter_of(message: Message, error_class: str, reason: str) -> DeadLetter:
    """The dead letter of a record. Its id is the record's place, so that a repeat is the same letter."""
    (topic, partition), offset = source(message)
    at = message.timestamp()[1]
    headers = cast(list[tuple[str, Any]], message.headers() or [])
    return DeadLetter(
        letter_id=f"{topic}-{partition}-{offset}",
        tier=_tier(topic),
        source_topic=topic,
        source_partition=partition,
        source_offset=offset,
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers={name: value for name, value in headers if isinstance(value, bytes)},
        error_class=error_class,
        message=reason[:2_000],
        fingerprint=digest(topic, error_class).hex(),
        # The record's own time, not now: the letter is the same whenever it is written.
        first_failed_at=at,
        last_failed_at=at,
    )


class IngressLetters:
    """Writes letters to the topic of records that are no jobs, one at a time: they are rare."""

    def __init__(self, kafka: KafkaSettings, topic: str, codec: Codec) -> None:
        self._config = {
            **kafka.client(),
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "delivery.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000),
            # The letter of a record of the largest size is larger; compressed it mostly passes the broker.
            "message.max.bytes": 4_000_000,
            "log_level": 2,
        }
        self._topic = topic
        self._codec = codec
        self._producer: Any = None

    def post(self, letter: DeadLetter) -> None:
        """Return when the brokers have the letter. TargetAwayError."""
        try:
            self._send(letter)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE or letter.value is None:
                raise TargetAwayError(f"a dead letter cannot be written: {error.args[0].str()}") from error
            log.warning("dead letter without its bytes: too large", letter_id=letter.letter_id)
            self.post(_without_value(letter))

    def _send(self, letter: DeadLetter) -> None:
        self._producer = self._producer or Producer(self._config)
        failed: list[KafkaError | None] = []
        self._producer.produce(
            self._topic,
            self._codec.encode(letter),
            letter.key,
            on_delivery=lambda error, record: failed.append(refusal(error, record)),
        )
        self._producer.flush(DELIVERY_TIMEOUT_S + 1)
        if not failed:
            raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))
        if failed[0] is not None:
            raise KafkaException(failed[0])


def _without_value(letter: DeadLetter) -> DeadLetter:
    fields = {name: getattr(letter, name) for name in letter.__struct_fields__}
    return DeadLetter(**{**fields, "value": None, "message": f"{letter.message} (bytes left out: too large)"})


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _tier(topic: str) -> int:
    """The tier in a topic's name, 0 where there is none."""
    after = topic.rpartition("tier-")[2][:1]
    return int(after) if "tier-" in topic and after.isdigit() else 0
