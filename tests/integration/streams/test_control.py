"""The topic `control` on a real Kafka: every reader knows every order, whenever it starts."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.records import Control
from streams.codec import Codec
from streams.control import ControlReader
from streams.core.orders import Orders, key_of
from streams.settings import KafkaSettings
from tests.topics import await_known

CODEC = Codec()
WITHIN_S, TRIES = 1.0, 10


@pytest.fixture
def kafka(kafka_bootstrap: str) -> KafkaSettings:
    return KafkaSettings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap})


@pytest.fixture
def topic(kafka: KafkaSettings) -> Iterator[str]:
    name = f"control-{time.time_ns()}"
    made = NewTopic(name, 1, 1, config={"cleanup.policy": "compact"})
    admin = AdminClient(kafka.client())
    admin.create_topics([made])[name].result(60)
    await_known(admin, [name])
    yield name
    admin.delete_topics([name])[name].result(30)


def ordered(kafka: KafkaSettings, topic: str, *orders: Control) -> None:
    producer = ck.Producer({**kafka.client(), "linger.ms": 0})
    for order in orders:
        producer.produce(topic, CODEC.encode(order), key_of(order).encode())
    assert producer.flush(60) == 0


def an_order(action: str, queue: str = "money", at: int = 1) -> Control:
    return Control(action, queue, at, "ada")


@asynccontextmanager
async def reading(kafka: KafkaSettings, topic: str) -> AsyncIterator[ControlReader]:
    reader = ControlReader(kafka, topic, CODEC)
    reader.start()
    try:
        yield reader
    finally:
        await reader.close()


async def until(condition: Callable[[], bool], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def loaded(reader: ControlReader) -> Orders:
    await asyncio.wait_for(reader.loaded(), 60)
    return reader.orders


async def test_an_empty_topic_is_loaded_at_once(kafka: KafkaSettings, topic: str) -> None:
    async with reading(kafka, topic) as reader:
        assert (await loaded(reader)).closed == {}


async def test_what_was_ordered_before_is_known_when_it_is_loaded(kafka: KafkaSettings, topic: str) -> None:
    ordered(kafka, topic, *(an_order("pause", f"q{n}") for n in range(2_000)), an_order("resume", "q7"))
    async with reading(kafka, topic) as reader:
        assert len((await loaded(reader)).closed) == 1_999
        assert not reader.orders.is_paused("q7")


async def test_two_readers_hear_an_order_within_a_second(kafka: KafkaSettings, topic: str) -> None:
    async with reading(kafka, topic) as one, reading(kafka, topic) as other:
        await loaded(one)
        await loaded(other)
        heard: list[str] = []
        one.on_order(lambda key, order: heard.append(f"{key} {order and order.action}"))
        took_s: list[float] = []
        # The machine may be busy with other things, but not each time.
        while min(took_s, default=WITHIN_S) >= WITHIN_S and len(took_s) < TRIES:
            began = time.monotonic()
            ordered(kafka, topic, an_order("pause"))
            await until(lambda: one.orders.is_paused("money") and other.orders.is_paused("money"))
            took_s.append(time.monotonic() - began)
            ordered(kafka, topic, an_order("resume"))
            await until(lambda: not (one.orders.closed or other.orders.closed))
        assert min(took_s) < WITHIN_S
        assert heard == ["queue:money pause", "queue:money resume"] * len(took_s)


async def test_what_cannot_be_read_stops_nothing(kafka: KafkaSettings, topic: str) -> None:
    producer = ck.Producer(kafka.client())
    producer.produce(topic, b"poison", b"queue:money")
    assert producer.flush(60) == 0
    ordered(kafka, topic, an_order("pause"))
    async with reading(kafka, topic) as reader:
        assert (await loaded(reader)).is_paused("money")


async def test_a_reader_waits_for_a_broker_that_is_not_there_yet(topic: str) -> None:
    nobody = KafkaSettings.model_validate({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    async with reading(nobody, topic) as reader:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.loaded(), 0.5)
