"""All records of some topics as they come, for one reader alone: no group, no commits, a thread of its own.

Every process that reads so sees every record, and no rebalance delays one. A lost connection ends nothing:
the client goes on by itself. After an error that it cannot get over, or while a topic is missing, all is read
anew.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.log import get
from streams.settings import KafkaSettings

log = get("tierflow.tail")

_POLL_S = 0.2
_AGAIN_S = 1.0
_JOIN_S = 2.0


class Tail:
    """Calls `came` for every record, and `at_end` when all that was there has come; both in its thread.

    It begins at the first record, or with `since` elsewhere. What was read before an error comes again.
    """

    def __init__(
        self, name: str, kafka: KafkaSettings, partitions: Sequence[tuple[str, int]],
        came: Callable[[Message], object], at_end: Callable[[], object] | None = None, *,
        since: int = OFFSET_BEGINNING, config: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._config = {**kafka.lone_reader(), "enable.partition.eof": at_end is not None, **(config or {})}
        self._partitions, self._since = list(partitions), since
        self._came, self._at_end = came, at_end
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start reading. Does not wait for a broker."""
        self._thread.start()

    async def close(self) -> None:
        """Stop reading; waits two seconds at most."""
        self._stopping.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _JOIN_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._read()
            except KafkaException as error:
                log.warning("read anew", reader=self._thread.name, reason=str(error))
                self._stopping.wait(_AGAIN_S)

    def _read(self) -> None:
        consumer = Consumer(self._config)
        unread = set(self._partitions)
        try:
            consumer.assign([TopicPartition(topic, p, self._since) for topic, p in self._partitions])
            while not self._stopping.is_set():
                message = consumer.poll(_POLL_S)
                if message is not None:
                    self._take(message, unread)
        finally:
            consumer.close()

    def _take(self, message: Message, unread: set[tuple[str, int]]) -> None:
        error = message.error()
        if error is None:
            self._came(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            self._ended((message.topic() or "", message.partition() or 0), unread)
        elif error.fatal() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise KafkaException(error)
        else:
            log.warning("Kafka says", reader=self._thread.name, reason=error.str())

    def _ended(self, partition: tuple[str, int], unread: set[tuple[str, int]]) -> None:
        if partition not in unread:
            return
        unread.discard(partition)
        if not unread and self._at_end is not None:
            self._at_end()
