"""Reading changelogs and log ends, in the `recover` thread, with handles that never join the group."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.transport import incarnations, positions
from streams.transport.config import EngineConfig
from streams.transport.table_partition import TablePartition

log = logging.getLogger(__name__)

Part = tuple[str, int]

_READ_RECORDS = 5_000


class Abandoned(Exception):  # noqa: N818
    """Nobody wants the partitions any more."""


class ChangelogReader:
    """Brings table partitions up to the end of their changelogs; `abandoned` ends every wait."""

    def __init__(self, config: EngineConfig, group: str) -> None:
        self._config, self._group = config, group
        self._committed: Consumer | None = None
        self._uncommitted: Consumer | None = None

    @property
    def committed(self) -> Consumer:
        """The read_committed handle; also answers the group's offsets, and only stable ones."""
        if self._committed is None:
            self._committed = Consumer(self._config.reader(self._group, "read_committed"))
        return self._committed

    def log_ends(self, topic: str, partition: int, abandoned: Callable[[], bool]) -> tuple[int, int]:
        """First and next offset, open transactions included. Repeats while the broker cannot answer."""
        if self._uncommitted is None:
            self._uncommitted = Consumer(self._config.reader(self._group, "read_uncommitted"))
        while not abandoned():
            try:
                ends = self._uncommitted.get_watermark_offsets(TopicPartition(topic, partition), 5)
                if ends is not None:
                    return ends
            except KafkaException as error:
                log.warning("log ends of %s-%d: %s", topic, partition, error)
            time.sleep(0.1)
        raise Abandoned

    def load(
        self, tables: Sequence[TablePartition], ids: Mapping[str, str], abandoned: Callable[[], bool]
    ) -> int:
        """Read on from where the stores stand; answers how many records that were. `ids` are the topics'.

        Reads committed records up to the end that an uncommitted read sees: a committed end may lie below a
        transaction that is committed but whose marker is still on its way (KAFKA-10167).
        """
        behind: dict[Part, TablePartition] = {}
        ends: dict[Part, int] = {}
        for table in tables:
            part = (table.changelog, table.partition)
            first, end = self.log_ends(*part, abandoned)
            incarnations.bind(table.store, f"{table.table}-{table.partition}", ids.get(table.changelog))
            _settle_start(table, first, end)
            if end > table.store.offset:
                behind[part], ends[part] = table, end
        if not behind:
            return 0
        reader = self.committed
        reader.assign([TopicPartition(*part, table.store.offset) for part, table in behind.items()])
        try:
            return _read(reader, behind, ends, abandoned)
        finally:
            reader.unassign()


def _settle_start(table: TablePartition, first: int, end: int) -> None:
    store = table.store
    if store.offset and not first <= store.offset <= end:
        log.warning(
            "store of %s-%d stands at %d, its changelog %s has %d..%d: rebuilding it",
            table.table, table.partition, store.offset, table.changelog, first, end,
        )  # fmt: skip
        store.clear()
    store.offset = max(store.offset, first)
    table.prepare()


def _read(
    reader: Consumer, behind: dict[Part, TablePartition], ends: dict[Part, int], abandoned: Callable[[], bool]
) -> int:
    total = 0
    while ends:
        if abandoned():
            raise Abandoned
        first = reader.poll(0.5)
        records: dict[Part, list[Message]] = {}
        reached: dict[Part, int] = {}
        for message in [] if first is None else [first, *reader.consume(_READ_RECORDS, 0)]:
            _sort_in(message, records, reached)
        for part, found in records.items():
            _apply(behind[part], found, reached[part])
            total += len(found)
        for part, offset in reached.items():
            if offset >= ends.get(part, offset + 1):
                del ends[part]
    return total


def _sort_in(message: Message, records: dict[Part, list[Message]], reached: dict[Part, int]) -> None:
    error = message.error()
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        log.warning("changelog: %s", error)
        return
    assert topic is not None
    assert partition is not None
    assert offset is not None
    part = (topic, partition)
    if error is None:
        records.setdefault(part, []).append(message)
        reached[part] = offset + 1
    else:
        reached[part] = offset


def _apply(table: TablePartition, records: Sequence[Message], next_offset: int) -> None:
    entries: dict[bytes, bytes | None] = {}
    notes: dict[bytes, bytes] = {}
    for record in records:
        key, value = record.key(), record.value()
        if key is None:
            log.warning("changelog %s-%d holds a record without key", table.changelog, table.partition)
        elif not positions.is_position(key):
            entries[key] = value
        elif value is not None:
            notes[key] = value
    table.restore(entries, notes, next_offset)
