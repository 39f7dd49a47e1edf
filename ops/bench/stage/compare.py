"""The engines one after the other: same broker, same source records, each alone in a process of its own."""

import asyncio
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer

from ops.bench import offsets
from ops.bench.cpu import cpu_s
from ops.bench.infrastructure import PARTITIONS, Infrastructure
from ops.bench.stage import work
from ops.stack import process
from ops.stack.part import Part
from ops.stack.progress import Say

ASK_EVERY_S = 0.05
# The first part of a run is imports, joining the group and warm-up.
WARM_SHARE = 0.1
LIMIT_S = 300.0
OURS, FAUST = "tierflow, exactly once", "plain Faust agents"
QUIX, QUIX_ONCE = "Quix Streams", "Quix Streams, exactly once"
RATIO_WANTED = 15.0


@dataclass(frozen=True)
class Engine:
    """One competitor. A slow one gets a `share` of the records: the first part of the same topic."""

    name: str
    slug: str
    argv: tuple[str, ...]
    extra: tuple[str, ...] = ()
    share: float = 1.0
    commits_outputs: bool = False
    """Source offsets and outputs are one transaction: progress is what is committed, not what is written."""


@dataclass(frozen=True)
class Sample:
    """How far an engine had come at a moment, and the CPU it had used."""

    at: float
    records: int
    cpu_s: float


@dataclass(frozen=True)
class Result:
    """One engine's figures. `counted` are its outputs as a read_committed reader found them afterwards."""

    engine: str
    records: int
    rate: float
    cpu_us: float
    counted: int


def engines(peer_python: Path | None) -> list[Engine]:
    """All engines that can run here."""
    ours = Engine(OURS, "tierflow", (sys.executable, "-m", "ops.bench.stage.ours"), commits_outputs=True)
    faust = Engine(FAUST, "faust", (sys.executable, "-m", "ops.bench.stage.plain_faust"), share=0.1)
    if peer_python is None:
        return [ours, faust]
    quix = (str(peer_python), "-m", "ops.bench.stage.quix")
    return [
        ours,
        Engine(QUIX, "quix", quix, ("at-least-once",), 0.5),
        Engine(QUIX_ONCE, "quix-once", quix, ("exactly-once",), 0.5),
        faust,
    ]


async def compare(on: Infrastructure, records: int, peer_python: Path | None, say: Say) -> list[Result]:
    """Fill the source once and run every engine over it."""
    source = on.name("changes")
    await asyncio.to_thread(_fill, on.bootstrap, source, records)
    say(f"stage: {records} records of {work.RECORD_BYTES} bytes in {source}")
    results = []
    for engine in engines(peer_python):
        result = await _run(on, engine, source, round(records * engine.share))
        say(f"stage: {result.engine}: {result.rate:,.0f} records/s, {result.cpu_us:.1f} us CPU each")
        results.append(result)
    return results


def ratio(results: list[Result]) -> float:
    """How many times the records per second of plain Faust agents ours has."""
    rates = {result.engine: result.rate for result in results}
    return rates[OURS] / rates[FAUST]


def cpu_ratio(results: list[Result]) -> float:
    """The same for each second of CPU: the steadier figure. Infinite if ours, in a tiny run, took no tick."""
    used = {result.engine: result.cpu_us for result in results}
    return used[FAUST] / used[OURS] if used[OURS] else math.inf


def _fill(bootstrap: str, source: str, records: int) -> None:
    offsets.create_topics(bootstrap, [source], PARTITIONS)
    producer = Producer(
        {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5, "acks": "all"}
    )
    for number in range(records):
        key, value = work.record(number)
        producer.produce(source, value, key)
        if number % 1_000 == 0:
            producer.poll(0)
            # Never more than the client's queue holds.
            while len(producer) > 50_000:
                producer.poll(0.05)
    producer.flush()


async def _run(on: Infrastructure, engine: Engine, source: str, records: int) -> Result:
    output, group = on.name(f"{engine.slug}.out"), on.name(engine.slug)
    await asyncio.to_thread(offsets.create_topics, on.bootstrap, [output], PARTITIONS)
    folder = on.folder / "stage" / engine.slug
    folder.mkdir(parents=True)
    arguments = (on.bootstrap, source, output, group, str(folder), *engine.extra)
    part = Part(engine.slug, (*engine.argv, *arguments), health="", address="", env={"PYTHONPATH": _root()})
    # The others' outputs count as soon as they are written, committed or not: that is in their favour.
    isolation = "read_committed" if engine.commits_outputs else "read_uncommitted"
    asking = offsets.reader(on.bootstrap, group, isolation)
    running = await process.start(part, on.log(engine.slug), on.guard)
    try:
        progress = _progress(asking, engine, source, output)
        samples = await _watch(running, progress, records)
    finally:
        await running.stop()
        asking.close()
    counted = await asyncio.to_thread(offsets.count_committed, on.bootstrap, output, PARTITIONS)
    return _figures(engine.name, samples, counted)


def _progress(asking: Consumer, engine: Engine, source: str, output: str) -> Callable[[], int]:
    if engine.commits_outputs:
        return lambda: offsets.consumed(asking, source, PARTITIONS)
    return lambda: offsets.written(asking, output, PARTITIONS)


async def _watch(running: process.Process, progress: Callable[[], int], records: int) -> list[Sample]:
    """Samples until `records` are through. RuntimeError when the engine ends or does not get there."""
    samples: list[Sample] = []
    deadline = time.monotonic() + LIMIT_S
    while not samples or samples[-1].records < records:
        if not running.alive() or time.monotonic() > deadline:
            raise RuntimeError(f"{running.part.name} did not get through:\n{process.tail(running.log)}")
        done = await asyncio.to_thread(progress)
        samples.append(Sample(time.monotonic(), done, cpu_s(running.pid)))
        await asyncio.sleep(ASK_EVERY_S)
    return samples


def _figures(engine: str, samples: list[Sample], counted: int) -> Result:
    """Rate and CPU from the first sample after the warm-up to the last."""
    last = samples[-1]
    first = next(sample for sample in samples if sample.records >= last.records * WARM_SHARE)
    if first is last:
        first = samples[0]
    done = last.records - first.records
    return Result(
        engine,
        done,
        done / (last.at - first.at),
        (last.cpu_s - first.cpu_s) / done * 1e6,
        counted,
    )


def _root() -> str:
    return os.pathsep.join([str(Path(__file__).parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])])


def as_dict(result: Result) -> dict[str, Any]:
    """For JSON."""
    return {
        "engine": result.engine,
        "records": result.records,
        "records_per_s": round(result.rate),
        "cpu_us_per_record": round(result.cpu_us, 1),
        "outputs_counted": result.counted,
    }
