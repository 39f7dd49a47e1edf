"""What a gateway talks to, made from the settings, connected and closed together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from litestar import Litestar

from connectors.kafka.limit_rows import LimitRows
from connectors.kafka.producer import Producer
from connectors.kafka.registry import codec
from connectors.postgres.dead_letters import DeadLetterStore
from connectors.postgres.queries import JobQueries
from connectors.redis.status import StatusStore
from connectors.redrive.service import Redrives
from ops.redriving import make_redrives
from streams.codec import Codec
from streams.control import ControlReader
from streams.settings import Settings
from streams.topics import Topology


@dataclass(frozen=True, slots=True)
class Outside:
    """Kafka, PostgreSQL and Valkey; nothing is connected before `connected`."""

    topology: Topology
    codec: Codec
    producer: Producer
    status: StatusStore
    records: JobQueries
    letters: DeadLetterStore
    redrives: Redrives
    control: ControlReader
    limit_rows: LimitRows

    @classmethod
    def of(cls, settings: Settings) -> "Outside":
        """All of it, for one process."""
        topology, encoding = Topology.of(settings.kafka), codec(settings.kafka)
        producer = Producer(settings.kafka, settings.process.instance)
        status = StatusStore(settings.redis.url.get_secret_value(), settings.kafka.topic_prefix)
        letters = DeadLetterStore(settings.postgres.url.get_secret_value())
        return cls(
            topology,
            encoding,
            producer,
            status,
            JobQueries(settings.postgres.url.get_secret_value()),
            letters,
            make_redrives(settings, letters, producer, status, encoding),
            ControlReader(settings.kafka, topology.control, encoding),
            LimitRows(settings.kafka, topology, encoding),
        )

    def probes(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """How each service is asked whether it answers."""
        return {
            "kafka": lambda: self.producer.probe(self.topology.job_requests),
            "postgres": self.records.ping,
            "redis": self.status.ping,
        }

    @asynccontextmanager
    async def connected(self, app: Litestar) -> AsyncIterator[None]:
        """For as long as the application runs."""
        self.producer.start()
        starting = asyncio.create_task(app.state["checks"].until_started())
        self.control.start()
        self.limit_rows.start()
        await self.records.open()
        await self.letters.pool.open()
        self.redrives.start()
        try:
            yield
        finally:
            starting.cancel()
            await self.redrives.close()
            await self.producer.close()
            await self.control.close()
            await self.limit_rows.close()
            await self.records.close()
            await self.letters.pool.close()
            await self.status.close()
