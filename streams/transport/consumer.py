"""The Faust consumer: a shell around the engine. What the engine has no use for is empty."""

from collections.abc import Iterable
from typing import Any

import confluent_kafka
from faust.transport import base
from faust.types.tuples import TP
from mode import Service

from streams.transport.engine import Engine, Rebalanced
from streams.transport.polling import Part
from streams.transport.producer import Producer
from streams.transport.watchdog import ShutdownLimit


class Consumer(base.Consumer):
    """Started and stopped by Faust; Faust's own offsets, commits and flow control are not used."""

    app: Any
    consumer_stopped_errors = ()

    async def on_start(self) -> None:
        """Build the engine and take over the transactional id."""
        app = self.app
        self.engine = Engine(
            app.engine,
            app.conf.id,
            app.metrics,
            new_tables=app.new_table_partitions,
            on_message=self.callback,
            chunked=app.chunked_topics.__contains__,
            generation=lambda: app.consumer_generation_id,
            rebalanced=_FaustRebalance(app),
        )
        await self.engine.start()
        app.flow_control.resume()

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group."""
        sources = sorted(topics)
        if not sources:
            return
        self.engine.assignment.on_open = self.app.open_callbacks
        self.engine.assignment.on_close = self.app.close_callbacks
        await self.engine.subscribe(sources, await self.app.check_topics())

    async def drain(self) -> None:
        """Before Faust cancels the agents: let them end, commit, leave the group."""
        engine = getattr(self, "engine", None)
        if engine is not None:
            limit = ShutdownLimit(self.app.engine)
            limit.begin()
            try:
                await engine.stop()
            finally:
                limit.end()

    async def on_stop(self) -> None:
        """Faust stops the app."""
        await self.drain()

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what is complete now."""
        await self.engine.commit()
        return True

    def assignment(self) -> set[TP]:
        """Partitions the group gave us, opened or not."""
        engine = getattr(self, "engine", None)
        return set() if engine is None else {TP(*part) for part in engine.assignment.parts}

    async def on_task_error(self, exc: BaseException) -> None:
        """An agent raised: the stream reports its step."""
        self.log.error("agent failed", exc_info=exc)

    def key_partition(self, topic: str, key: Any, partition: int | None = None) -> int | None:
        """librdkafka partitions (murmur2, as Java's clients)."""
        return partition

    def topic_partitions(self, topic: str) -> int | None:
        """Every topic of an app has the same number."""
        count: int = self.app.conf.topic_partitions
        return count

    # -- not used: Faust's timers, acknowledgements and positions

    @Service.task
    async def _commit_handler(self) -> None: ...

    @Service.task
    async def _commit_livelock_detector(self) -> None: ...

    def ack(self, message: Any) -> bool:
        """Steps complete offsets, acknowledgements do not."""
        return False

    async def wait_empty(self) -> None:
        """`drain` did it."""

    def pause_partitions(self, tps: Any) -> None:
        """The engine pauses by itself."""

    def resume_partitions(self, tps: Any) -> None:
        """The engine resumes by itself."""

    def close(self) -> None:
        """`drain` did it."""

    def highwater(self, tp: Any) -> int:
        """Not known: see the lag exporter."""
        return 0

    async def create_topic(self, topic: str, *args: Any, **kwargs: Any) -> None:
        """Never."""
        raise NotImplementedError(f"the engine creates no topics, so not {topic} either")

    async def _nothing(self, *args: Any, **kwargs: Any) -> Any:
        return None

    _commit = perform_seek = seek_to_committed = _seek = _getmany = position = seek_wait = _nothing
    earliest_offsets = highwaters = seek_to_beginning = _nothing

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def _to_message(self, tp: TP, record: Any) -> Any:
        raise NotImplementedError("the engine makes messages from steps")


class _FaustRebalance(Rebalanced):
    """Keeps Faust's routing of records to agents, and its signals, up to date."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def assigned(self, now: set[Part], new: set[Part]) -> None:
        tps = {TP(*part) for part in new}
        await self._app.topics.on_partitions_assigned({TP(*part) for part in now})
        await self._app.agents.on_rebalance(set(), tps)
        await self._app.on_partitions_assigned.send(tps)

    async def revoked(self, now: set[Part], gone: set[Part]) -> None:
        tps = {TP(*part) for part in gone}
        await self._app.topics.on_partitions_assigned({TP(*part) for part in now})
        await self._app.agents.on_rebalance(tps, set())
        await self._app.on_partitions_revoked.send(tps)


class Transport(base.Transport):
    """Faust's factory for the two."""

    Consumer, Producer = Consumer, Producer
    default_port = 9092
    driver_version = f"confluent-kafka={confluent_kafka.__version__}"
