"""A plain Kafka consumer in a thread that carries batches into a target which keeps the offsets itself.

The group only says who reads which partition. Where reading goes on is asked of the target after each
assignment, and every batch moves the target's offsets by compare-and-set together with its rows. So a crash
at any moment, a rebalance and a zombie write nothing twice and skip nothing.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from connectors.consuming.absence import Absence
from connectors.consuming.log_ends import LogEnds
from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.positions import Arrival, Move, Place, Positions
from connectors.consuming.target import PositionMovedError, Target, TargetAwayError
from streams.log import get
from streams.transport import identity

log = get(__name__)

BATCH_RECORDS = 4_000
_LINGER_S = 0.05
_AWAY_POLL_S = 0.2
_LOOK_S = 1.0


def source(message: Message) -> tuple[Place, int]:
    """Where a record stands; a record that was read has all three."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return (topic, partition), offset


@dataclass(slots=True)
class Batch:
    """Records that are read and not yet written, and how far each partition moves with them."""

    messages: list[Message] = field(default_factory=list)
    begins: dict[Place, int] = field(default_factory=dict)
    ends: dict[Place, int] = field(default_factory=dict)

    def moves(self) -> list[Move]:
        """From where to where each partition goes."""
        return [Move(*place, self.begins[place], end) for place, end in self.ends.items()]


class Consuming:
    """Reads `topics` as a member of a group and writes them to one target, until `stop`."""

    def __init__(
        self,
        config: dict[str, Any],
        topics: Sequence[str],
        target: Target,
        metrics: ConsumingMetrics,
        batch_records: int = BATCH_RECORDS,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._topics = list(topics)
        self._target = target
        self._metrics = metrics
        self._batch_records = batch_records
        self._positions = Positions()
        self._pending = Batch()
        self._repeating: set[Place] = set()
        self._stopping = threading.Event()
        self._joined = False
        self._absence = Absence(jitter)
        self._look_at = 0.0
        self._written_at = 0.0
        self._kafka_error = ""
        self._consumer: Any = None
        self._ends = LogEnds(None)

    @property
    def ready(self) -> bool:
        """Whether it is a member of its group, knows its positions and its target answers.

        A group that has more members than partitions leaves some without: these are ready, too.
        """
        return self._joined and not self._absence.failures and not self._positions.unplaced

    def stop(self) -> None:
        """Make `run` return within about a second."""
        self._stopping.set()

    def run(self) -> None:
        """Read and write until `stop`. Blocks. A defect of ours ends it with its error."""
        self._metrics.away(self._target.name, self, False)
        self._consumer = Consumer(self._config)
        self._ends = LogEnds(self._consumer)
        self._consumer.subscribe(
            self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )
        try:
            while not self._stopping.is_set():
                self._turn()
        finally:
            self._joined = False
            self._consumer.close()
            self._target.close()

    def _turn(self) -> None:
        """One round: settle what is pending with the target, then read on."""
        wait_s = self._absence.wait_s(time.monotonic())
        if wait_s > 0:
            # Everything is paused; polling keeps us in the group.
            self._accept(self._consumer.consume(1, min(wait_s, _AWAY_POLL_S)))
            return
        try:
            self._settle()
        except TargetAwayError as error:
            self._away(error)
            return
        self._back()
        self._accept(self._consumer.consume(self._batch_records, _LINGER_S))

    def _settle(self) -> None:
        """Write the pending batch, find the positions of new partitions, and look after the known ones."""
        if self._pending.messages:
            self._write()
        if self._positions.unplaced:
            self._place()
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_S
            self._look()

    def _write(self) -> None:
        batch = self._pending
        moves = batch.moves()
        began = time.perf_counter()
        try:
            rows = self._target.write(batch.messages, moves)
        except PositionMovedError as error:
            log.warning(
                "batch refused, positions are read again", target=self._target.name, reason=str(error)
            )
            self._metrics.refused.labels(self._target.name).inc()
            self._distrust(batch.ends)
        else:
            self._positions.moved(moves)
            self._metrics.batch_rows.labels(self._target.name).observe(rows)
            self._metrics.commit_seconds.labels(self._target.name).observe(time.perf_counter() - began)
            self._metrics.records.labels(self._target.name).inc(len(batch.messages))
            self._written_at = batch.messages[-1].timestamp()[1] / 1000
        self._pending = Batch()

    def _place(self) -> None:
        """Seek each new partition to the target's position and let it flow."""
        found = self._target.positions(self._positions.unplaced)
        for topic, partition in sorted(found):
            offset = found[topic, partition]
            start = TopicPartition(topic, partition, offset or OFFSET_BEGINNING)
            try:
                self._consumer.seek(start)
            except KafkaException as error:
                # Its fetcher has not started yet: next round.
                log.debug("not seekable yet", topic=topic, partition=partition, reason=str(error))
                continue
            self._positions.place((topic, partition), offset)
            self._repeating.discard((topic, partition))
            self._consumer.resume([start])

    def _look(self) -> None:
        """Compare the target's positions with ours (it may have lost them), and measure the lag."""
        # Who gets no partition is never called back.
        self._joined = identity.parse(self._consumer.consumer_group_metadata()).generation > 0
        places = list(self._positions.placed)
        if places and not self._pending.messages:
            differing = self._positions.differing(self._target.positions(places), places)
            if differing:
                log.warning("the target's positions changed, reading on from them", target=self._target.name)
                self._distrust(differing)
        self._measure()

    def _measure(self) -> None:
        behind, places = 0, []
        for place, position in self._positions.placed.items():
            lag = self._ends.behind(place, position)
            behind += lag
            self._metrics.lag.labels(self._target.name, *place).set(lag)
            places.append(TopicPartition(*place, position))
        seconds = max(0.0, time.time() - self._written_at) if behind and self._written_at else 0.0
        self._metrics.behind(self._target.name, self, seconds)
        if places:
            with contextlib.suppress(KafkaException):
                self._consumer.commit(offsets=places, asynchronous=True)

    def _accept(self, messages: Iterable[Message]) -> None:
        pending, ends, arrive = self._pending.messages, self._pending.ends, self._positions.arrive
        for message in messages:
            if message.error() is not None:
                self._complain(message)
                continue
            place, offset = source(message)
            arrival = arrive(place, offset, ends.get(place))
            # Nearly every record is the next one.
            if arrival is not Arrival.NEXT and not self._is_taken(arrival, place):
                continue
            if place not in ends:
                self._pending.begins[place] = self._positions.placed[place]
            ends[place] = offset + 1
            pending.append(message)

    def _is_taken(self, arrival: Arrival, place: Place) -> bool:
        """Whether a record that is not simply the next one is written."""
        if arrival is Arrival.GAP:
            lost = self._ends.lost(place, self._positions.placed[place])
            self._metrics.lost.labels(self._target.name).inc(lost)
            return True
        return arrival is Arrival.BEHIND and self._begins_anew(place)

    def _begins_anew(self, place: Place) -> bool:
        """Whether a record before our position is to be written, because the log was made again.

        Else it is a repeat: a seek raced with the consumer's own look for the log's start. Once more helps.
        """
        if place in self._repeating:
            return False
        pending = self._pending.ends.get(place)
        if pending is None and self._ends.is_new(place, self._positions.placed[place]):
            return True
        self._repeating.add(place)
        following = self._positions.placed[place] if pending is None else pending
        with contextlib.suppress(KafkaException):
            self._consumer.seek(TopicPartition(*place, following or OFFSET_BEGINNING))
        return False

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """Begin where the target stands; when it does not say now, take the partitions without reading."""
        places = [(one.topic, one.partition) for one in partitions]
        self._positions.assign(places)
        self._repeating.difference_update(places)
        found: dict[Place, int] = {}
        if places and not self._absence.failures:
            with contextlib.suppress(TargetAwayError):
                found = self._target.positions(places)
        starts = [TopicPartition(*place, found.get(place) or OFFSET_BEGINNING) for place in places]
        consumer.incremental_assign(starts)
        for place, offset in found.items():
            self._positions.place(place, offset)
        # A pause outlives the assignment it was made in: a partition that was distrusted, revoked and given
        # back would stay paused for ever.
        if found:
            consumer.resume(starts)
        elif places:
            consumer.pause(starts)
        log.info("partitions assigned", target=self._target.name, partitions=len(places))

    def _revoked(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        places = [(one.topic, one.partition) for one in partitions]
        self._positions.revoke(places)
        for topic, partition in places:
            self._metrics.lag.remove(self._target.name, topic, partition)
        log.info("partitions revoked", target=self._target.name, partitions=len(places))

    def _distrust(self, places: Iterable[Place]) -> None:
        found = self._positions.distrust(places)
        if found:
            self._consumer.pause([TopicPartition(*place) for place in found])

    def _away(self, error: TargetAwayError) -> None:
        """Stop fetching until the target answers; said once."""
        if self._absence.failed(time.monotonic()):
            self._metrics.away(self._target.name, self, True)
            log.warning("target is away, fetching pauses", target=self._target.name, reason=str(error))
            self._consumer.pause([TopicPartition(*place) for place in self._positions.assigned])

    def _back(self) -> None:
        away_s = self._absence.answered(time.monotonic())
        if away_s is None:
            return
        self._metrics.away(self._target.name, self, False)
        log.info("target is back, fetching goes on", target=self._target.name, away_s=round(away_s, 1))
        self._consumer.resume([TopicPartition(*place) for place in self._positions.placed])

    def _complain(self, message: Message) -> None:
        """Errors come as records; a fatal one ends the loop, another is said once."""
        error = message.error()
        if error is not None and error.fatal():
            raise KafkaException(error)
        if str(error) != self._kafka_error:
            self._kafka_error = str(error)
            log.warning("Kafka says", target=self._target.name, reason=str(error))
