"""A worker's line to the limiter: requests go out by a plain producer, grants come in by a plain consumer.

Neither is part of the worker's transactions: what a request states is true whether they commit or not. The
consumer belongs to no group and reads all grants from now on; what it missed is stale anyway.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from confluent_kafka import OFFSET_END, KafkaError, KafkaException, Message, Producer

from connectors.kafka.producer import client_config
from schemas.errors import DecodeError
from schemas.records import LimitGrant, LimitRequest
from streams.acknowledgement import refusal, retire, serve
from streams.codec import Codec
from streams.log import get
from streams.settings import KafkaSettings
from streams.tail import Tail
from streams.topics import Topology

log = get("tierflow.limits")

# A grant is good for less than half a second: it is not to wait in the client.
_QUICK = {
    "auto.offset.reset": "latest",
    "fetch.queue.backoff.ms": 5,
    "queued.max.messages.kbytes": 4_096,
    "socket.nagle.disable": True,
    "reconnect.backoff.ms": 50,
}


class LimitLink:
    """Made anywhere, started and used in the event loop; `worker` is the instance whose grants are read."""

    def __init__(self, kafka: KafkaSettings, topology: Topology, codec: Codec, worker: str) -> None:
        self._kafka, self._topology, self._codec = kafka, topology, codec
        self._key = worker.encode()
        self._producer: Producer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        places = [(topology.limit_grants, number) for number in range(topology.partitions)]
        self._tail = Tail("limit-grants", kafka, places, self._hand_over, since=OFFSET_END, config=_QUICK)

    def start(
        self,
        granted: Callable[[LimitGrant], object],
        delivered: Callable[[LimitRequest], object],
        undelivered: Callable[[LimitRequest], object],
    ) -> None:
        """Begin; the callbacks are called in the running event loop."""
        self._delivered, self._undelivered = delivered, undelivered
        self._producer = Producer(client_config(self._kafka))
        self._granted, self._loop = granted, asyncio.get_running_loop()
        self._tail.start()

    def send(self, requests: Iterable[LimitRequest]) -> None:
        """Hand over what is to be sent and hear what became of the earlier ones; never blocks."""
        if self._producer is None:
            return
        for request in requests:
            self._send(self._producer, request)
        if (fatal := serve(self._producer, 0)) is not None:
            log.warning("the producer of requests for tokens is replaced", error=fatal.str())
            retire(self._producer)
            self._producer = Producer(client_config(self._kafka))

    async def close(self) -> None:
        """Send what is left, for a second at most, and stop."""
        if self._producer is not None:
            await asyncio.to_thread(self._producer.flush, 1.0)
        await self._tail.close()

    def _send(self, producer: Producer, request: LimitRequest) -> None:
        def report(error: KafkaError | None, record: Message) -> None:
            error = refusal(error, record)
            if error is None:
                self._delivered(request)
                return
            log.warning("a request for tokens was not delivered", group=request.group, error=error.str())
            self._undelivered(request)

        try:
            producer.produce(
                self._topology.limit_requests, self._codec.encode(request), request.group.encode(),
                on_delivery=report,
            )  # fmt: skip
        except (BufferError, KafkaException) as error:
            log.warning("a request for tokens was not sent", group=request.group, error=str(error))
            self._undelivered(request)

    def _hand_over(self, message: Message) -> None:
        """In the thread of grants."""
        grant = self._grant(message)
        if grant is not None and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for grants any more
                self._loop.call_soon_threadsafe(self._granted, grant)

    def _grant(self, message: Message) -> LimitGrant | None:
        if message.key() != self._key:
            return None
        try:
            return self._codec.decode(LimitGrant, message.value() or b"")
        except DecodeError as wrong:
            log.warning("no grant", offset=message.offset(), error=str(wrong))
            return None
