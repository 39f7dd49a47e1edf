"""The topic `control` as every replica reads it: whole before anything else, then each order as it comes.

A lost connection changes nothing: what was ordered goes on to hold.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from confluent_kafka import Message

from schemas.errors import DecodeError
from schemas.records import Control
from streams.codec import Codec
from streams.core.orders import Orders, key_of
from streams.log import get
from streams.settings import KafkaSettings
from streams.tail import Tail

log = get("tierflow.control")

# The topic is not keyed like the others: one order at a time, in one partition.
PARTITION = 0
Heard = Callable[[str, Control | None], None]


class ControlReader:
    """Keeps `orders` as the topic has them; `heard(key, order)` is called in the loop after each change."""

    def __init__(self, kafka: KafkaSettings, topic: str, codec: Codec, orders: Orders | None = None) -> None:
        self._codec = codec
        self.orders = orders if orders is not None else Orders()
        self._heard: list[Heard] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loaded = asyncio.Event()
        self._tail = Tail(
            "control", kafka, [(topic, PARTITION)], self._came, lambda: self._tell(self._loaded.set)
        )  # fmt: skip

    def on_order(self, heard: Heard) -> None:
        """Call this for every order from now on; in the event loop."""
        self._heard.append(heard)

    def start(self) -> None:
        """Start within a running event loop. Does not wait for a broker."""
        self._loop = asyncio.get_running_loop()
        self._tail.start()

    async def loaded(self) -> None:
        """Return when everything that was ordered so far is known."""
        await self._loaded.wait()

    async def close(self) -> None:
        """Stop reading."""
        await self._tail.close()

    # -- the thread

    def _came(self, message: Message) -> None:
        self._tell(self._take, *self._decoded(message))

    def _decoded(self, message: Message) -> tuple[str, Control | None]:
        key, raw = (message.key() or b"").decode(errors="replace"), message.value()
        if raw is None:
            return key, None
        try:
            order = self._codec.decode(Control, raw)
        except DecodeError as error:
            log.error("an order that cannot be read", key=key, offset=message.offset(), reason=str(error))
            return "", None
        return key_of(order), order

    def _tell(self, told: Callable[..., Any], *arguments: Any) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(told, *arguments)

    # -- the loop

    def _take(self, key: str, order: Control | None) -> None:
        self.orders.take(key, order)
        for heard in self._heard:
            heard(key, order)
