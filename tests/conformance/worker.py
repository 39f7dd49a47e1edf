"""The process under test: counts records per key in a table and answers each with what it saw.

A record's value is `key:number`; per key the numbers ascend. The table holds, per key, `count,last number`.
The output is `key:number:count:last number before`: so every handler's view of the table can be checked.
"""

import asyncio
import json
import logging
import random
import sys
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import Message

from streams.transport.app import EngineApp
from streams.transport.config import EngineConfig
from streams.transport.step import Chunk, Step
from streams.transport.table import Table


def handle(table: Table, step: Step, output: str, record: Message) -> None:
    """One record: read the table, write the table, send the answer."""
    value, key = record.value(), record.key()
    assert value is not None
    assert key is not None
    step.send(output, answer(table, key, value), key, record.partition() or 0)


def answer(table: Table, key: bytes, value: bytes) -> bytes:
    """Count the record in the table; what to send."""
    number = int(value.split(b":")[1])
    count, last = (int(part) for part in table.get(key, b"0,-1").split(b","))  # type: ignore[union-attr]
    table[key] = b"%d,%d" % (count + 1, number)
    return b"%s:%d:%d:%d" % (key, number, count + 1, last)


def build(settings: dict[str, Any]) -> EngineApp:
    """The app with the agent of the asked mode."""
    config = EngineConfig(
        bootstrap_servers=settings["bootstrap"],
        instance=settings["instance"],
        state_dir=Path(settings["state_dir"]),
        protocol=settings["protocol"],
    )
    app = EngineApp(
        settings["group"], engine=config, partitions=settings["partitions"], store=settings["store"]
    )
    table = app.Table("seen", changelog=settings["changelog"])
    {"inline": inline, "async": concurrent, "plain": plain}[settings["mode"]](app, table, settings)

    async def report() -> None:
        sample = app.metrics.registry.get_sample_value
        names = ("transactions", "records", "aborts", "fatals")
        counts = {name: sample(f"tierflow_engine_{name}_total") for name in names}
        print(f"OWNS {sorted(app.owned)} {counts}", flush=True)

    app.timer(1.0)(report)
    return app


def inline(app: EngineApp, table: Table, settings: dict[str, Any]) -> None:
    """Whole chunks, in order."""
    pause_s = settings["pause_s"]

    for source, output in zip(settings["sources"], settings["outputs"], strict=True):

        async def process(stream: Any, output: str = output) -> None:
            async for chunk in stream:
                for record in chunk.records:
                    handle(table, chunk, output, record)
                await asyncio.sleep(pause_s * len(chunk.records) * random.random() * 2)

        app.agent(app.chunks(source), name=f"inline-{source}")(process)


def concurrent(app: EngineApp, table: Table, settings: dict[str, Any]) -> None:
    """Record by record: a key's records in order, keys side by side, some of them very slow."""
    pause_s, slots = settings["pause_s"], asyncio.Semaphore(400)
    tails: dict[object, asyncio.Task[Any]] = {}

    async def one(step: Step, record: Message, output: str, before: asyncio.Task[Any] | None) -> None:
        try:
            if before is not None:
                await asyncio.wait([before])
            slow = random.random() < 0.0002
            await asyncio.sleep(2.0 if slow else pause_s * random.random() * 2)
            with step:
                handle(table, step, output, record)
        finally:
            slots.release()

    async def split(chunk: Chunk, output: str) -> None:
        for record, step in chunk.split():
            await slots.acquire()
            if chunk.owned.is_closed:
                slots.release()
                return
            lane = (id(chunk.owned), chunk.topic, record.key())
            task = chunk.owned.spawn(one(step, record, output, tails.get(lane)))
            tails[lane] = task
            task.add_done_callback(partial(_forget, tails, lane))

    for source, output in zip(settings["sources"], settings["outputs"], strict=True):

        async def process(stream: Any, output: str = output) -> None:
            async for chunk in stream:
                await split(chunk, output)

        app.agent(app.chunks(source), name=f"async-{source}")(process)


def _forget(tails: dict[object, asyncio.Task[Any]], lane: object, done: asyncio.Task[Any]) -> None:
    if tails.get(lane) is done:
        del tails[lane]


def plain(app: EngineApp, table: Table, settings: dict[str, Any]) -> None:
    """Faust's own way: events and topic.send."""
    for source, output in zip(settings["sources"], settings["outputs"], strict=True):
        target = app.topic(output, key_serializer="raw", value_serializer="raw")

        async def process(stream: Any, target: Any = target) -> None:
            async for event in stream.events():
                reply = answer(table, event.message.key, event.message.value)
                await target.send(key=event.message.key, value=reply, partition=event.message.partition)

        topic = app.topic(
            source, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
        )
        app.agent(topic, name=f"plain-{source}")(process)


def main() -> None:
    """`python -m tests.conformance.worker SETTINGS_AS_JSON`."""
    settings = json.loads(sys.argv[1])
    random.seed(f"{settings['seed']} {settings['instance']}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    app = build(settings)
    sys.argv = ["worker", "worker", "-l", "info", "--without-web"]
    app.main()


if __name__ == "__main__":
    main()
