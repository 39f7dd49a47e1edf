"""`app.send` and `topic.send`: part of the current step, or, outside of steps, an idempotent produce."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as KafkaProducer
from faust.transport import base
from faust.types.tuples import TP, RecordMetadata

from streams.acknowledgement import refusal, retire, serve
from streams.transport.step import current_step

log = logging.getLogger(__name__)

_FLUSH_S = 10.0
_POLL_S = 0.1


class Producer(base.Producer):
    """What is sent inside a step goes with its transaction and has no offset yet: -1."""

    app: Any

    async def on_start(self) -> None:
        """Connect."""
        await super().on_start()
        self._producer = KafkaProducer(self.app.engine.plain_producer())
        self._polling = True
        threading.Thread(target=self._poll, name="produce", daemon=True).start()

    async def on_stop(self) -> None:
        """Wait some seconds for what is on its way."""
        await self.flush()
        self._polling = False

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,
    ) -> "Awaitable[Any]":
        """Answer a future of the record's metadata; waits only while the producer's queue is full."""
        number = -1 if partition is None else partition
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers or []) or None
        step = current_step()
        if step is not None:
            if timestamp is not None:
                raise NotImplementedError("a record of a step bears the time of its transaction")
            step.send(topic, value, key, number, pairs)
            sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            sent.set_result(RecordMetadata(topic, number, TP(topic, number), -1))
            return sent
        return await self._produce(topic, key, value, number, timestamp, pairs)

    async def send_and_wait(self, *args: Any, **kwargs: Any) -> Any:
        """Like `send`, and wait for the acknowledgement of all replicas (inside a step: for nothing)."""
        return await (await self.send(*args, **kwargs))

    async def flush(self) -> None:
        """Wait until everything is acknowledged, ten seconds at most."""
        await self.buffer.flush()
        if getattr(self, "_producer", None) is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._producer.flush, _FLUSH_S)

    async def create_topic(self, topic: str, *args: Any, **kwargs: Any) -> None:
        """Never: topics are created by operators, from the topology."""
        raise NotImplementedError(f"the engine creates no topics, so not {topic} either")

    def supports_headers(self) -> bool:
        """Yes."""
        return True

    async def _produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int,
        timestamp: float | None,
        headers: Any,
    ) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[Any] = loop.create_future()

        def report(error: KafkaError | None, record: Message) -> None:
            loop.call_soon_threadsafe(_resolve, acknowledged, error, record)

        options: dict[str, Any] = {} if timestamp is None else {"timestamp": int(timestamp * 1000)}
        if headers is not None:
            options["headers"] = headers
        while True:
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=report, **options)
            except BufferError:
                await asyncio.sleep(0.01)
            else:
                return acknowledged

    def _poll(self) -> None:
        while self._polling:
            if (fatal := serve(self._producer, _POLL_S)) is not None:
                log.warning("plain producer replaced: %s", fatal)
                old, self._producer = self._producer, KafkaProducer(self.app.engine.plain_producer())
                retire(old)


def _resolve(future: "asyncio.Future[Any]", error: KafkaError | None, record: Message) -> None:
    if future.done():
        return
    refused = refusal(error, record)
    if refused is not None:
        future.set_exception(KafkaException(refused))
        return
    topic, partition, offset = record.topic() or "", record.partition() or 0, record.offset() or 0
    future.set_result(RecordMetadata(topic, partition, TP(topic, partition), offset))
