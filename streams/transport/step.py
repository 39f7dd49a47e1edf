"""One atomic step: outputs, table writes and completed offsets that become visible in one transaction."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Self

from confluent_kafka import Message

from streams.transport.errors import StepClosed, StepLost
from streams.transport.tracker import Tracker

if TYPE_CHECKING:
    from streams.transport.batch import Batch
    from streams.transport.owned import OwnedPartition

Headers = Sequence[tuple[str, bytes]]
Output = tuple[str, bytes | None, bytes | None, int, Headers | None]
"""topic, value, key, partition (-1: by the key's hash), headers"""

_current: ContextVar["Step | None"] = ContextVar("step", default=None)


def current_step() -> "Step | None":
    """The step that table writes and `app.send` of this task belong to."""
    return _current.get()


def enter(step: "Step | None") -> "Token[Step | None]":
    """Make the step current in this context; `leave` takes it back."""
    return _current.set(step)


def leave(token: "Token[Step | None]") -> None:
    """Undo `enter`; nothing happens in another context (a generator closed by the garbage collector)."""
    try:  # noqa: SIM105 - once a step: suppress() takes longer than the rest
        _current.reset(token)
    except ValueError:
        pass


class Step:
    """Buffers what one unit of work does; nothing of it is produced before it is complete.

    An aborted transaction is written again from these buffers, so no handler runs twice.
    """

    __slots__ = (
        "_batch",
        "_complete",
        "_token",
        "high",
        "low",
        "outputs",
        "owned",
        "tracker",
        "writes",
    )

    def __init__(
        self, owned: "OwnedPartition", tracker: Tracker | None = None, low: int = 0, high: int = 0
    ) -> None:
        self.owned, self.tracker, self.low, self.high = owned, tracker, low, high
        # Made when there are any: as many steps as jobs in flight may wait for theirs.
        self.outputs: list[Output] | None = None
        self.writes: dict[str, dict[bytes, bytes | None]] | None = None
        self._complete = False
        self._batch: Batch | None = None
        self._token: Token[Step | None] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the next transaction carries it (or did, or nothing ever will: see `committed`)."""
        return self._complete

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        partition: int = -1,
        headers: Headers | None = None,
    ) -> None:
        """Add an output. Raises UnknownTopic or RecordTooLarge for what no transaction could carry."""
        if self._complete:
            raise StepClosed("an output for a step that is already complete")
        self.owned.limits.check(topic, value, key, partition, headers)
        if self.outputs is None:
            self.outputs = []
        self.outputs.append((topic, value, key, partition, headers))

    def put(self, table: str, key: bytes, value: bytes | None) -> None:
        """Write one key of a table; None removes it."""
        if self._complete:
            raise StepClosed(f"a write to table {table} in a step that is already complete")
        self.owned.limits.check_entry(table, key, value)
        if self.writes is None:
            self.writes = {}
        self.writes.setdefault(table, {})[key] = value

    def written(self, table: str) -> Mapping[bytes, bytes | None] | None:
        """What it wrote to a table so far."""
        return None if self.writes is None else self.writes.get(table)

    def complete(self) -> None:
        """From here on the next transaction carries the step; idempotent, never blocks.

        After the partition was closed nothing happens: `committed` then raises StepLost.
        """
        if not self._complete:
            self._complete = True
            self._batch = self.owned.complete(self)

    async def committed(self) -> None:
        """Return when the transaction that carries the step is committed.

        Raises StepLost when the partition was closed before: returning proves that it was ours.
        """
        if not self._complete:
            raise RuntimeError("complete() the step before waiting for its commit")
        if self._batch is None:
            raise StepLost(f"partition {self.owned.partition} was closed before the step was complete")
        await self._batch.wait()

    def __enter__(self) -> Self:
        self._token = enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            leave(self._token)
        if kind is None:
            self.complete()
        else:
            self.drop()

    def drop(self) -> None:
        """Forget what was buffered; the step stays open and may be tried again."""
        self.outputs = self.writes = None


class Chunk(Step):
    """Consecutive records of one topic and partition, at most `EngineConfig.chunk_records`.

    Complete as a whole when its agent asks for the next chunk, or record by record after `split`.
    """

    __slots__ = ("_source", "records")

    def __init__(
        self, owned: "OwnedPartition", tracker: Tracker, low: int, high: int, records: Sequence[Message]
    ) -> None:
        super().__init__(owned, tracker, low, high)
        self._source, self.records = tracker, records

    @property
    def topic(self) -> str:
        """The Kafka topic of all its records."""
        return self._source.topic

    @property
    def partition(self) -> int:
        """The partition of all its records."""
        return self._source.partition

    def split(self) -> list[tuple[Message, Step]]:
        """One step per record, to be completed in any order; the chunk itself is then no step any more."""
        if self.outputs or self.writes:
            raise RuntimeError("split() comes before outputs and table writes of the chunk")
        if self._complete:
            raise StepClosed("a chunk is split once, and before it is complete")
        self._complete = True
        if current_step() is self:
            enter(None)
        owned, tracker = self.owned, self._source
        steps = []
        for record in self.records:
            offset = record.offset()
            assert offset is not None, "a fetched record has an offset"
            steps.append((record, Step(owned, tracker, offset, offset + 1)))
        # A quiet stream keeps its last chunk.
        self.records = ()
        return steps
