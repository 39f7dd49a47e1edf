"""The engine's app in memory: real steps, trackers and tables of one partition; commits never fail.

Driven by `deliver` and `commit`; between `open` and `crash` it is one life of a process.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from agents.memory.topics import Topics
from streams.transport.config import EngineConfig
from streams.transport.index import Index
from streams.transport.limits import Limits
from streams.transport.owned import OwnedPartition, Phase
from streams.transport.step import Chunk, Step, enter, leave
from streams.transport.store import MemoryStore
from streams.transport.table import Table
from streams.transport.table_partition import TablePartition
from streams.transport.tracker import Tracker

CHUNK_RECORDS = 100
MAX_RECORD_BYTES = EngineConfig.max_record_bytes
Agent = Callable[[Any], Awaitable[None]]


class MemoryApp:
    """What router and workers need of `EngineApp`."""

    def __init__(self, topics: Topics, counts: Mapping[str, int]) -> None:
        self._topics, self._counts = topics, counts
        self._tables: dict[str, tuple[Table, MemoryStore]] = {}
        self._agents: dict[str, Agent] = {}
        self._open_callbacks: list[Callable[[OwnedPartition], Awaitable[None]]] = []
        self._close_callbacks: list[Callable[[OwnedPartition, bool], Awaitable[None]]] = []
        self._positions: dict[str, tuple[int, int]] = {}
        self._held: set[str] = set()
        self.owned: dict[int, OwnedPartition] = {}

    # -- declaring, as the engine's app

    def Table(self, name: str, *, changelog: str, index: Index | None = None) -> Table:  # noqa: N802
        """A table that is kept from life to life."""
        table = Table(name, changelog, lambda: self.owned, index)
        self._tables[name] = table, MemoryStore()
        return table

    def chunks(self, topic: str) -> str:
        """A topic whose agent gets chunks."""
        return topic

    def agent(self, topic: str, *, name: str) -> Callable[[Agent], Agent]:
        """The agent of a topic."""

        def declare(agent: Agent) -> Agent:
            self._agents[topic] = agent
            return agent

        return declare

    def on_open(self, callback: Callable[[OwnedPartition], Awaitable[None]]) -> None:
        """Called in each life, before its first record."""
        self._open_callbacks.append(callback)

    def on_close(self, callback: Callable[[OwnedPartition, bool], Awaitable[None]]) -> None:
        """Called at the end of each life."""
        self._close_callbacks.append(callback)

    def task(self, _: Callable[[], Awaitable[None]]) -> None:
        """Tasks that follow the clock are not started: whoever drives the app holds the clock."""

    def step(self, partition: int) -> Step:
        """A step without a source record."""
        if partition not in self.owned:
            raise LookupError(f"partition {partition} is not open here")
        return self.owned[partition].step()

    def hold(self, topic: str, _: int) -> None:
        """Deliver no more of a topic."""
        self._held.add(topic)

    def release(self, topic: str, _: int) -> None:
        """Deliver it again."""
        self._held.discard(topic)

    # -- driving

    @property
    def tasks(self) -> set["asyncio.Task[Any]"]:
        """What runs."""
        return self.owned[0].tasks

    async def open(self) -> None:
        """A process starts on what was committed."""
        owned = OwnedPartition(0, Limits(MAX_RECORD_BYTES, lambda: self._counts), lambda _: None)
        for topic in self._agents:
            owned.trackers[topic] = Tracker(topic, 0, *self._positions.get(topic, (0, 0)))
        for name, (table, store) in self._tables.items():
            owned.tables[name] = TablePartition(name, table.changelog, 0, store, index=table.index)
            owned.tables[name].prepare()
        owned.phase = Phase.OPEN
        self._held.clear()
        self.owned[0] = owned
        for callback in self._open_callbacks:
            opening = asyncio.ensure_future(callback(owned))
            while not opening.done():
                self.commit()  # it may wait for that
                await asyncio.sleep(0)
            opening.result()

    async def crash(self) -> None:
        """The process is gone, with all that was not committed; its handlers are cancelled."""
        owned = self.owned.pop(0)
        tasks = set(owned.tasks)
        owned.close()
        for callback in self._close_callbacks:
            await callback(owned, True)
        if tasks:
            await asyncio.wait(tasks)

    async def deliver(self) -> bool:
        """Hand what is new on the topics to their agents; whether there was anything."""
        return any([await self._deliver(topic) for topic in self._agents if topic not in self._held])

    async def _deliver(self, topic: str) -> bool:
        owned = self.owned[0]
        tracker = owned.trackers[topic]
        new = self._topics.since(topic, tracker.next)[:CHUNK_RECORDS]
        if not new:
            return False
        low, tracker.next = tracker.next, tracker.next + len(new)
        records: Any = [record for record in new if not tracker.is_complete(record.offset())]
        await self._agents[topic](_one(Chunk(owned, tracker, low, tracker.next, records)))
        return True

    def commit(self) -> bool:
        """Everything that is complete becomes visible, at once or not at all; whether there was anything."""
        owned = self.owned[0]
        batch = owned.take()
        if batch is None:
            return False
        for change in batch.changes:
            change.table.persist(change.values, {}, None)
            change.table.settle()
        for position in batch.positions:
            self._positions[position.topic] = position.offset, position.mask
        self._topics.carry_out(batch.outputs)
        batch.commit()
        return True


async def _one(chunk: Chunk) -> AsyncIterator[Chunk]:
    """A stream of one chunk, which is the current step until its agent comes back."""
    token = enter(chunk)
    try:
        yield chunk
        chunk.complete()
    finally:
        leave(token)
