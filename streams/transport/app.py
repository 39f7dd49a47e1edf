"""The application: a Faust app whose agents, tables and sends are exactly once."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NoReturn

import faust
from faust.tables.manager import TableManager
from prometheus_client import CollectorRegistry

from streams.transport import rocks, topic_check
from streams.transport.assignment import OnClose, OnOpen
from streams.transport.config import EngineConfig
from streams.transport.consumer import Transport
from streams.transport.engine import Engine
from streams.transport.index import Index
from streams.transport.metrics import EngineMetrics
from streams.transport.owned import OwnedPartition
from streams.transport.step import Step
from streams.transport.store import MemoryStore, Store
from streams.transport.stream import ChunkSchema, EngineStream
from streams.transport.table import Table
from streams.transport.table_partition import TablePartition

StoreKind = Literal["rocksdb", "memory"]


class EngineTables(TableManager):
    """Faust's table registry, empty and without its recovery: the engine opens partitions one by one."""

    async def on_start(self) -> None:
        """Let the conductor subscribe."""
        self._tables_finalized.set()
        self._tables_registered.set()

    async def on_stop(self) -> None:
        """Nothing runs."""

    def on_partitions_revoked(self, revoked: Any) -> None:
        """The engine closes partitions itself."""

    async def wait_until_recovery_completed(self) -> bool:
        """False, as in 'not stopped': timers and web start at once."""
        return False


class EngineApp(faust.App):
    """A Faust app on the engine.

    Every topic it reads and every changelog has `partitions` partitions; partition p of all of them belongs
    to one process at a time. Topics must exist: nothing is created. One agent per topic; `take`, `group_by`,
    joins, windowed and global tables and agent concurrency are refused.
    """

    def __init__(
        self,
        id: str,
        *,
        engine: EngineConfig,
        partitions: int,
        store: StoreKind = "rocksdb",
        metrics: EngineMetrics | None = None,
        **faust_options: Any,
    ) -> None:
        self.engine, self.store_kind = engine, store
        self.metrics = metrics or EngineMetrics(CollectorRegistry())
        self.chunked_topics: set[str] = set()
        self.engine_tables: dict[str, Table] = {}
        self.open_callbacks: list[OnOpen] = []
        self.close_callbacks: list[OnClose] = []
        self._cache_blocks: Any = None
        self.leaving, self.exit_status = asyncio.Event(), 0
        options = {
            "broker": "kafka://" + engine.bootstrap_servers.split(",")[0],
            "Stream": EngineStream,
            "TableManager": EngineTables,
            "topic_partitions": partitions,
            "topic_allow_declare": False,
            "topic_disable_leader": True,
            "stream_buffer_maxsize": engine.window * partitions + 1,
            "datadir": str(engine.state_dir / "faust"),
            "web_enabled": False,
            **faust_options,
        }
        super().__init__(id, **options)

    # -- declaring

    def chunks(self, topic: str, **options: Any) -> Any:
        """The Faust topic of one Kafka topic whose agent gets `Chunk`s."""
        self.chunked_topics.add(topic)
        return self.topic(topic, schema=ChunkSchema(), **options)

    def Table(self, name: str, *, changelog: str, index: Index | None = None) -> Table:  # noqa: N802
        """A table of raw bytes; its changelog is an existing compacted topic of `partitions` partitions."""
        if name in self.engine_tables:
            raise ValueError(f"there is already a table {name}")
        if changelog in {table.changelog for table in self.engine_tables.values()}:
            raise ValueError(f"topic {changelog} is already the changelog of another table")
        table = self.engine_tables[name] = Table(name, changelog, lambda: self.owned, index)
        return table

    def on_open(self, callback: OnOpen) -> OnOpen:
        """Call `callback(owned)` each time a partition number is recovered, before its first record.

        It may read tables and run steps. A partition that is revoked meanwhile cancels it.
        """
        self.open_callbacks.append(callback)
        return callback

    def on_close(self, callback: OnClose) -> OnClose:
        """Call `callback(owned, lost)` before the final commit of a partition that goes (drain_s at most).

        `owned.tasks` are cancelled when it returns. When `lost`, nothing can be committed any more.
        """
        self.close_callbacks.append(callback)
        return callback

    def agent(
        self, channel: Any = None, *, concurrency: int = 1, isolated_partitions: bool = False, **kw: Any
    ) -> Any:
        """Faust's agent decorator."""
        if concurrency != 1 or isolated_partitions:
            raise NotImplementedError(
                "one actor per agent: concurrency comes from chunk.split() and owned.spawn()"
            )
        return super().agent(channel, concurrency=1, **kw)

    # -- running

    @property
    def owned(self) -> Mapping[int, OwnedPartition]:
        """The partition numbers open here."""
        engine = getattr(self._consumer, "engine", None)
        return MappingProxyType({} if engine is None else engine.assignment.open)

    def _engine(self) -> Engine:
        engine: Engine | None = getattr(self._consumer, "engine", None)
        if engine is None:
            raise RuntimeError("the app is not started")
        return engine

    def leave(self, status: int) -> None:
        """Ask who runs the app to stop it as for SIGTERM, and to end the process with this status."""
        self.exit_status = status
        self.leaving.set()

    def step(self, partition: int) -> Step:
        """A step without a source record (timer, due retry). Raises LookupError when it is not open here."""
        owned = self.owned.get(partition)
        if owned is None:
            raise LookupError(f"partition {partition} is not open here")
        return owned.step()

    def hold(self, topic: str, partition: int) -> None:
        """Fetch no more of this topic's partition until `release`; what was fetched is still delivered.

        A hold ends with the ownership of the partition.
        """
        self._engine().hold((topic, partition))

    def release(self, topic: str, partition: int) -> None:
        """Fetch it again."""
        self._engine().release((topic, partition))

    async def on_first_start(self) -> None:
        """Make the state directory and check the topics."""
        self.engine.state_dir.mkdir(parents=True, exist_ok=True)
        await super().on_first_start()
        await self.check_topics()

    async def check_topics(self) -> dict[str, int]:
        """Partition counts of all topics. Raises TopicMismatch for one of ours that is missing or misshapen.

        Waits up to `topic_check_s` for a broker that answers.
        """
        expected = {
            name: "read by an agent" for agent in self.agents.values() for name in agent.get_topic_names()
        }
        for table in self.engine_tables.values():
            expected[table.changelog] = f"changelog of table {table.name}"
        partitions = self.conf.topic_partitions
        return await asyncio.to_thread(topic_check.checked_counts, self.engine, expected, partitions)

    async def on_stop(self) -> None:
        """Drain and leave the group while the agents still run."""
        drain = getattr(self._consumer, "drain", None)
        if drain is not None:
            await drain()
        await super().on_stop()

    def new_table_partitions(self, partition: int) -> list[TablePartition]:
        """Partition p of every table, with the store as this process left it. In the `recover` thread.

        The first table by name keeps the source positions.
        """
        tables: list[TablePartition] = []
        for name in sorted(self.engine_tables):
            table, store = self.engine_tables[name], self._store(name, partition)
            tables.append(TablePartition(name, table.changelog, partition, store, not tables, table.index))
        return tables

    def _store(self, table: str, partition: int) -> Store:
        if self.store_kind == "memory":
            return MemoryStore()
        owner = f"{self.conf.id}-{self.engine.instance}"
        path = rocks.store_path(self.engine.state_dir, owner, table, partition)
        if self._cache_blocks is None:
            self._cache_blocks = rocks.shared_cache()
        return rocks.RocksStore(path, self._cache_blocks, self.engine.store_max_age_s)

    # -- Faust's factories

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Any:
        return self.transport

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("only app.Table(name, changelog=...) is exactly once")

    GlobalTable = SetTable = SetGlobalTable = _refuse
