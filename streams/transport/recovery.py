"""From an assignment to trackers and tables, in the `recover` thread beside the running partitions."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.transport import incarnations, offset_metadata, positions
from streams.transport.batch import Position
from streams.transport.changelog import Abandoned, ChangelogReader
from streams.transport.config import EngineConfig
from streams.transport.metrics import EngineMetrics
from streams.transport.owned import OwnedPartition
from streams.transport.table_partition import TablePartition
from streams.transport.tracker import Tracker

log = logging.getLogger(__name__)

_SHORT_LOG_S = 5.0


@dataclass(frozen=True, slots=True)
class Recovered:
    """What an owned partition starts with."""

    owned: OwnedPartition
    trackers: dict[str, Tracker]
    tables: dict[str, TablePartition]

    def discard(self) -> None:
        """The partition went meanwhile."""
        for table in self.tables.values():
            table.close()


class Recovery:
    """Every method but the constructor belongs to the `recover` thread."""

    def __init__(
        self,
        config: EngineConfig,
        group: str,
        new_tables: Callable[[int], list[TablePartition]],
        ask_ids: incarnations.Ask,
        metrics: EngineMetrics,
    ) -> None:
        self._config, self._new_tables, self._metrics = config, new_tables, metrics
        self._ask_ids = ask_ids
        self._reader = ChangelogReader(config, group)
        self.stopped = False

    def recover(self, owned: Sequence[OwnedPartition], topics: Sequence[str]) -> list[Recovered]:
        """Positions and tables of the partitions; empty when all of them were closed meanwhile.

        The order is the promise: first the group's offsets, and they wait for the transactions of a dead
        owner; then the ends of the changelogs, so that these hold all that belongs to the offsets.
        """
        begun = time.monotonic()

        def abandoned() -> bool:
            return self.stopped or all(partition.is_closed for partition in owned)

        tables: dict[int, list[TablePartition]] = {}
        try:
            committed = self._stable_offsets([(t, o.partition) for o in owned for t in topics], abandoned)
            stable_s = time.monotonic() - begun
            for partition in owned:
                tables[partition.partition] = self._new_tables(partition.partition)
            every = [table for found in tables.values() for table in found]
            names = {*topics, *(table.changelog for table in every)}
            ids = incarnations.patiently(self._ask_ids, names, abandoned)
            records = self._reader.load(every, ids, abandoned)
            recovered = [
                self._assemble(partition, topics, ids, committed, tables[partition.partition], abandoned)
                for partition in owned
            ]
        except BaseException as error:
            for table in (t for found in tables.values() for t in found):
                table.close()
            if isinstance(error, Abandoned):
                return []
            raise
        self._metrics.recoveries.inc()
        log.info(
            "recovered partitions %s: %d changelog records, offsets stable after %.2f s, all in %.2f s",
            [partition.partition for partition in owned], records, stable_s, time.monotonic() - begun,
        )  # fmt: skip
        return recovered

    def _stable_offsets(
        self, parts: Sequence[tuple[str, int]], abandoned: Callable[[], bool]
    ) -> dict[tuple[str, int], Position | None]:
        """The group's committed positions; waits while a transaction that commits offsets is open."""
        begun, alarmed = time.monotonic(), False
        while not abandoned():
            answer = self._ask_offsets(parts)
            if answer is not None:
                self._metrics.unstable_seconds.set(0)
                return answer
            waited_s = time.monotonic() - begun
            self._metrics.unstable_seconds.set(waited_s)
            if waited_s > self._config.unstable_alarm_s and not alarmed:
                alarmed = True
                log.error(
                    "committed offsets are not available for %.0f s: a transaction does not end. See"
                    " `kafka-transactions.sh find-hanging` and `abort`. Partitions: %s", waited_s, parts,
                )  # fmt: skip
            time.sleep(0.05)
        raise Abandoned

    def _ask_offsets(self, parts: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Position | None] | None:
        try:
            answer = self._reader.committed.committed([TopicPartition(*part) for part in parts], 5)
        except KafkaException as error:
            log.warning("committed offsets: %s", error)
            return None
        found: dict[tuple[str, int], Position | None] = {}
        for entry in answer:
            if entry.error:
                if entry.error.code() != KafkaError.UNSTABLE_OFFSET_COMMIT:
                    log.warning("committed offset of %s-%d: %s", entry.topic, entry.partition, entry.error)
                return None
            known = entry.offset >= 0
            mask = offset_metadata.decode(entry.metadata)
            position = Position(entry.topic, entry.partition, entry.offset, mask)
            found[entry.topic, entry.partition] = position if known else None
        return found

    def _assemble(
        self,
        owned: OwnedPartition,
        topics: Sequence[str],
        ids: Mapping[str, str],
        committed: dict[tuple[str, int], Position | None],
        tables: list[TablePartition],
        abandoned: Callable[[], bool],
    ) -> Recovered:
        noted = positions.highest(owned.partition, [table.store.notes() for table in tables], ids)
        trackers = {}
        for topic in topics:
            position = self._guard(committed[topic, owned.partition], noted.get(topic))
            position = self._within_log(topic, owned.partition, position, abandoned)
            trackers[topic] = Tracker(
                topic, owned.partition, position.offset, position.mask, ids.get(topic, "")
            )
        return Recovered(owned, trackers, {table.table: table for table in tables})

    def _guard(self, group: Position | None, noted: Position | None) -> Position | None:
        """The higher of the group's position and the changelog's; both come from the same transactions."""
        if noted is None or (group is not None and group.offset >= noted.offset):
            return group
        self._metrics.guarded.inc()
        log.error(
            "the group's offset of %s-%d went back to %s, the changelog says %d: going on from there",
            noted.topic, noted.partition, group.offset if group else "none", noted.offset,
        )  # fmt: skip
        return noted

    def _within_log(
        self, topic: str, partition: int, position: Position | None, abandoned: Callable[[], bool]
    ) -> Position:
        """The position moved into the log. What was deleted before it was read is counted as lost."""
        first, end = self._reader.log_ends(topic, partition, abandoned)
        if position is None:
            return Position(topic, partition, first, 0)
        if position.offset < first:
            gap = first - position.offset
            lost = gap - (position.mask & ((1 << gap) - 1)).bit_count()
            self._metrics.lost_offsets.inc(lost)
            log.error(
                "LOSS: %d records of %s-%d were deleted before they were processed (position %d, log begins"
                " at %d): check retention and lag", lost, topic, partition, position.offset, first,
            )  # fmt: skip
            return Position(topic, partition, first, position.mask >> gap)
        deadline = time.monotonic() + _SHORT_LOG_S
        while end < position.offset and time.monotonic() < deadline:
            time.sleep(0.2)
            first, end = self._reader.log_ends(topic, partition, abandoned)
        if end < position.offset:
            self._metrics.lost_offsets.inc(position.offset - end)
            log.error(
                "LOSS: the log of %s-%d ends at %d, before the committed position %d: the broker lost records"
                " or the topic was created anew; starting at %d", topic, partition, end, position.offset, end,
            )  # fmt: skip
            return Position(topic, partition, end, 0)
        return position
