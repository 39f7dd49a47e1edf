"""The engine without Kafka: real partitions, steps, tables and size limits; a commit follows each step."""

from collections.abc import Mapping
from typing import Any

import msgspec
from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from agents.memory.topics import Stored
from agents.recording import Recording
from schemas.priorities import Lane
from schemas.records import DeadLetter, Lifecycle
from schemas.tiers import Tier
from streams.codec import Codec
from streams.core.entry import Entry, position
from streams.metrics import WorkerMetrics
from streams.settings import KafkaSettings
from streams.topics import Topology
from streams.transport.index import Index
from streams.transport.limits import Limits
from streams.transport.owned import OwnedPartition, Phase
from streams.transport.step import Chunk, Step
from streams.transport.store import MemoryStore
from streams.transport.table import Table
from streams.transport.table_partition import TablePartition
from streams.transport.tracker import Tracker
from tests.unit.streams.core.builders import a_job

CODEC = Codec()
TOPOLOGY = Topology.of(KafkaSettings.model_validate({}))
MAX_RECORD_BYTES = 950_000


class Committed:
    """A batch whose transaction is committed as soon as anyone asks."""

    def __init__(self, owned: "MemoryPartition") -> None:
        self._owned = owned

    async def wait(self) -> None:
        self._owned.seen.append("committed")


class MemoryPartition(OwnedPartition):
    """Partition 0; keeps every completed output in `sent`, and what happened when in `seen`."""

    def __init__(self) -> None:
        super().__init__(0, Limits(MAX_RECORD_BYTES, self._counts), lambda _: None)
        self.phase = Phase.OPEN
        self.trackers["lane"] = Tracker("lane", 0, 0)
        self.sent: list[tuple[str, Any, Any, int, Any]] = []
        self.seen: list[str] = []

    def _counts(self) -> Mapping[str, int]:
        return {topic.name: 12 for topic in TOPOLOGY.topics()}

    def complete(self, step: Step) -> Any:
        if super().complete(step) is None:
            return None
        self.sent += step.outputs or []
        return Committed(self)


class MemoryApp:
    """What the agents need of the app."""

    def __init__(self) -> None:
        self.owned: dict[int, MemoryPartition] = {0: MemoryPartition()}
        self.held: list[tuple[str, str, int]] = []
        self.agents: dict[str, Any] = {}
        self.opened: list[Any] = []
        self.closed: list[Any] = []

    @property
    def partition(self) -> MemoryPartition:
        return self.owned[0]

    def Table(self, name: str, *, changelog: str, index: Index | None = None) -> Table:
        self.partition.tables[name] = TablePartition(name, changelog, 0, MemoryStore(), index=index)
        return Table(name, changelog, lambda: self.owned, index)

    def step(self, partition: int) -> Step:
        if partition not in self.owned:
            raise LookupError(f"partition {partition} is not open here")
        return self.owned[partition].step()

    def chunks(self, topic: str) -> str:
        return topic

    def agent(self, topic: str, *, name: str) -> Any:
        return lambda function: self.agents.__setitem__(topic, function)

    def on_open(self, callback: Any) -> None:
        self.opened.append(callback)

    def on_close(self, callback: Any) -> None:
        self.closed.append(callback)

    def task(self, function: Any) -> None:
        self.clock = function

    def hold(self, topic: str, partition: int) -> None:
        self.held.append(("hold", topic, partition))

    def release(self, topic: str, partition: int) -> None:
        self.held.append(("release", topic, partition))

    def letters(self) -> list[DeadLetter]:
        return [CODEC.decode(DeadLetter, v) for topic, v, *_ in self.partition.sent if ".dlq." in topic]

    def states(self) -> list[str]:
        """Every state that was written to the lifecycle, in order."""
        histories = [CODEC.decode(Lifecycle, v) for t, v, *_ in self.partition.sent if ".lifecycle." in t]
        return [move.to_state for history in histories for move in history.transitions]


def metrics() -> WorkerMetrics:
    return WorkerMetrics(CollectorRegistry())


def a_recording(app: Any, counted: WorkerMetrics, tier: Tier = Tier.IMPORTANT) -> Recording:
    return Recording(app, TOPOLOGY, tier, CODEC, "worker-1", counted)


def from_topic(app: MemoryApp, offset: int = 0, lane: Lane = Lane.NORMAL, **changes: Any) -> Entry:
    """An entry with the open step of its source record."""
    step = Step(app.partition, app.partition.trackers["lane"], offset, offset + 1)
    job = a_job(**{"job_id": f"job-{offset}", **changes})
    return Entry(job, position(job.ordering_key, lane.value, offset), 0, step)


def fetched(
    topic: str, record: msgspec.Struct | bytes | None, offset: int = 5, key: bytes | None = b"key",
    headers: list[tuple[str, bytes]] | None = None,
) -> Message:  # fmt: skip
    value = CODEC.encode(record) if isinstance(record, msgspec.Struct) else record
    message: Any = Stored(topic, offset, key, value, headers or ())
    return message  # type: ignore[no-any-return]


def a_chunk(app: MemoryApp, topic: str, *messages: Message) -> Chunk:
    tracker = Tracker(topic, 0, messages[0].offset() or 0)
    app.partition.trackers.setdefault(topic, tracker)
    return Chunk(
        app.partition, tracker, messages[0].offset() or 0, (messages[-1].offset() or 0) + 1, messages
    )
