"""The `consume` thread: the only one that touches the group consumer.

confluent-kafka holds one lock per handle while it polls: a call from another thread would wait for seconds.
Commands of the loop (start, stop a partition) come through a queue and run between two polls.
"""

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence, Set
from typing import Any, Protocol, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.transport import identity
from streams.transport.config import EngineConfig
from streams.transport.errors import Exit
from streams.transport.owned import OwnedPartition
from streams.transport.parking import parked
from streams.transport.reading import Fetched, Reading
from streams.transport.tracker import Tracker

log = logging.getLogger(__name__)

T = TypeVar("T")
Part = tuple[str, int]
_POLL_S = 0.05
_CALLBACK_S = 60.0
_LOST_CALLBACK_S = 20.0
_NO_MEMBER_S = 0.5
_QUIET_S = 15.0
# Each look takes the interpreter from the loop that is behind.
_BEHIND_S = 0.01
_SEEK_RETRY_S = 0.01
_SEEK_GIVE_UP_S = 30.0


class Listener(Protocol):
    """What the loop does on behalf of the consume thread."""

    def assigned(self, parts: set[Part]) -> Coroutine[Any, Any, None]:
        """New partitions, already paused. Returns soon: recovery runs beside."""
        ...

    def revoked(self, parts: set[Part], lost: bool) -> Coroutine[Any, Any, None]:
        """Returns when nothing of these partitions is under way any more."""
        ...

    def membership_lost(self) -> None:
        """The group went on without us while a revocation was under way: nothing can be committed now."""
        ...

    def out_of_range(self, part: Part) -> None:
        """The log no longer has the offset that was to be read."""
        ...

    def quiet(self, positions: dict[Part, int]) -> None:
        """Partitions that are read but of which nothing came for a while, and where they stand."""
        ...

    def fetched(self, fetched: Sequence[Fetched]) -> None:
        """Records in the order of their partitions."""
        ...


class ConsumeThread:
    """Polls, pauses what is full or held, and runs the rebalance callbacks."""

    def __init__(
        self,
        config: EngineConfig,
        group: str,
        topics: Sequence[str],
        listener: Listener,
        delivered: Callable[[], int],
        held: Set[Part],
    ) -> None:
        self._config, self._topics, self._listener = config, list(topics), listener
        self._delivered, self._held = delivered, held
        self._loop = asyncio.get_running_loop()
        # librdkafka's classic `range` is an eager assignor: assign and unassign as a whole.
        self._eager = config.protocol == "classic" and len(self._topics) > 1
        self._admin = AdminClient(dict(config.client()))
        self._consumer = Consumer(config.consumer(group, one_topic=len(self._topics) == 1))
        self._commands: deque[Callable[[], None]] = deque()
        self._reading: dict[Part, Reading] = {}
        self._paused: set[Part] = set()
        self._fetched = 0
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="consume", daemon=True)
        self._quiet_report = time.monotonic() + _QUIET_S
        self.full = 0
        """How many partitions are paused because their window is full."""
        self.metadata = b""
        """Group metadata as this thread saw it last, so never ahead of the callbacks."""

    # -- called by the loop

    def begin(self) -> None:
        """Join the group."""
        self._thread.start()

    def start(self, owned: OwnedPartition, tracker: Tracker) -> None:
        """Read the partition from the tracker's base on."""
        since = time.monotonic()
        self._commands.append(lambda: self._seek(owned, tracker, since))

    def stop_reading(self, part: Part) -> None:
        """Pause the partition and forget its tracker: records on their way are dropped."""
        self._commands.append(lambda: self._pause_and_forget(part))

    def read_again(self, part: Part, position: int) -> None:
        """Seek the partition to where it stands: its fetching seems to have stopped."""
        self._commands.append(lambda: self._seek_again(part, position))

    def leave(self, wait_s: float) -> bool:
        """Leave the group and end; False when that took too long. Blocks: not for the loop itself."""
        self._stop = True
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    # -- the thread

    def _run(self) -> None:
        try:
            self._consumer.subscribe(
                self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            while not self._stop:
                while self._commands:
                    self._commands.popleft()()
                self._regulate()
                self._report_quiet()
                self._poll()
        except Exception:
            log.exception("the consume thread failed: ending the process")
            self._config.exit(Exit.CONSUME_THREAD_FAILED)
        finally:
            self._consumer.close()

    def _poll(self) -> None:
        consumer = self._consumer
        first = consumer.poll(_POLL_S if not self.full else _POLL_S / 5)
        self.metadata = consumer.consumer_group_metadata()
        if first is None:
            return
        # consume(n, timeout) waits for n records or the whole timeout: so one poll, then what is there.
        by_part: dict[Part, list[Message]] = {}
        ends: dict[Part, int] = {}
        for message in (first, *consumer.consume(self._config.chunk_records - 1, 0)):
            error = message.error()
            topic, partition = message.topic(), message.partition()
            if topic is None or partition is None:
                self._on_error(error, None)
            elif error is None:
                by_part.setdefault((topic, partition), []).append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                ends[topic, partition] = message.offset() or 0
            else:
                self._on_error(error, (topic, partition))
        self._hand_over(by_part, ends)

    def _hand_over(self, by_part: dict[Part, list[Message]], ends: dict[Part, int]) -> None:
        """Records carry the tracker they were read for: one that was replaced meanwhile gets none of them."""
        fetched: list[Fetched] = []
        for part in {**by_part, **ends}:
            reading = self._reading.get(part)
            if reading is None:
                continue
            records, end = by_part.get(part, []), ends.get(part)
            if reading.jumped(records, end):
                self._try(self._consumer.seek, TopicPartition(*part, reading.position))
                continue
            kept = self._within_window(reading, records)
            end = reading.reach(end, self._config.window)
            if kept or end is not None:
                fetched.append(Fetched(reading.owned, reading.tracker, kept, end))
        if not fetched:
            return
        self._fetched += sum(len(entry.records) for entry in fetched)
        self._loop.call_soon_threadsafe(self._listener.fetched, fetched)
        # The loop is behind: wait a little, but poll again soon, because of rebalances.
        deadline = time.monotonic() + 0.1
        while (
            self._fetched - self._delivered() > self._config.backlog_records
            and time.monotonic() < deadline
            and not self._stop
            and not self._commands
        ):
            time.sleep(_BEHIND_S)

    def _within_window(self, reading: Reading, records: list[Message]) -> list[Message]:
        """The records that fit; the others are sought again when the window has moved."""
        if not records:
            return records
        limit = reading.fit(records, self._config.window)
        kept = records if limit == len(records) else records[:limit]
        if kept:
            reading.position = (kept[-1].offset() or 0) + 1
        if limit < len(records):
            reading.blocked_at = reading.tracker.base
            topic, partition = reading.tracker.topic, reading.tracker.partition
            self._try(self._consumer.seek, TopicPartition(topic, partition, records[limit].offset() or 0))
        return kept

    def _regulate(self) -> None:
        """Pause partitions whose window is full or that are held; the others run on."""
        full = 0
        for part, reading in self._reading.items():
            reading.regulate(self._config.window, self._config.chunk_records)
            full += reading.is_full
            wanted = reading.is_full or part in self._held
            if wanted and part not in self._paused:
                self._paused.add(part)
                self._try(self._consumer.pause, [TopicPartition(*part)])
            elif not wanted and part in self._paused:
                self._paused.discard(part)
                reading.is_fresh = True
                self._try(self._consumer.resume, [TopicPartition(*part)])
        self.full = full

    def _report_quiet(self) -> None:
        if time.monotonic() < self._quiet_report:
            return
        self._quiet_report = time.monotonic() + _QUIET_S
        running = {part: reading for part, reading in self._reading.items() if part not in self._paused}
        quiet = {part: reading.position for part, reading in running.items() if reading.stood_still()}
        if quiet:
            self._loop.call_soon_threadsafe(self._listener.quiet, quiet)

    def _seek_again(self, part: Part, position: int) -> None:
        reading = self._reading.get(part)
        if reading is not None and reading.position == position:
            reading.is_fresh = True
            self._try(self._consumer.seek, TopicPartition(*part, position))

    def _seek(self, owned: OwnedPartition, tracker: Tracker, since: float) -> None:
        if owned.is_closed or self._stop:
            return
        target = TopicPartition(tracker.topic, tracker.partition, tracker.base)
        try:
            self._consumer.seek(target)
            self._consumer.resume([target])
        except KafkaException as error:
            # 'Erroneous state' until librdkafka has begun to fetch the partition.
            if time.monotonic() - since > _SEEK_GIVE_UP_S:
                log.error("cannot start %s-%d: %s", tracker.topic, tracker.partition, error)
                self._config.exit(Exit.SEEK_FAILED)
            again = threading.Timer(
                _SEEK_RETRY_S, self._commands.append, [lambda: self._seek(owned, tracker, since)]
            )
            again.daemon = True
            again.start()
            return
        self._paused.discard((tracker.topic, tracker.partition))
        self._reading[tracker.topic, tracker.partition] = Reading(owned, tracker)
        log.info("reading %s-%d from %d", tracker.topic, tracker.partition, tracker.base)

    def _pause_and_forget(self, part: Part) -> None:
        self._forget({part})
        self._try(self._consumer.pause, [TopicPartition(*part)])

    def _forget(self, parts: set[Part]) -> None:
        for part in parts:
            self._reading.pop(part, None)
            self._paused.discard(part)

    def _try(self, function: Callable[[T], None], target: T) -> None:
        try:
            function(target)
        except KafkaException as error:
            log.warning("%s: %s", function.__name__, error)

    def _on_error(self, error: KafkaError | None, part: Part | None) -> None:
        if error is None:
            return
        # For a fatal error the event carries code _FATAL while fatal() is False (confluent-kafka 2.16).
        if error.fatal() or error.code() == KafkaError._FATAL:
            log.error("the consumer is dead, ending the process: %s", error)
            self._config.exit(Exit.CONSUMER_FATAL)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET and part in self._reading:
            self._loop.call_soon_threadsafe(self._listener.out_of_range, part)
        else:
            log.warning("consumer: %s", error)

    # -- rebalance callbacks, in this thread while it polls or closes

    def _on_assign(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        target = parked(self._admin, parts)
        if self._eager:
            consumer.assign(target)
        else:
            consumer.incremental_assign(target)
        self.metadata = consumer.consumer_group_metadata()
        if parts:
            consumer.pause(parts)
            self._in_loop(self._listener.assigned(_parts(parts)), _CALLBACK_S)

    def _on_revoke(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        self._release(consumer, parts, lost=False)

    def _on_lost(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        log.warning("lost %d partitions: the group went on without this process", len(parts))
        self._release(consumer, parts, lost=True)

    def _release(self, consumer: Consumer, parts: list[TopicPartition], *, lost: bool) -> None:
        if parts:
            self._forget(_parts(parts))
            limit_s = _LOST_CALLBACK_S if lost else _CALLBACK_S
            self._in_loop(self._listener.revoked(_parts(parts), lost), limit_s)
        if self._eager:
            consumer.unassign()
        else:
            consumer.incremental_unassign(parts)

    def _in_loop(self, work: Coroutine[Any, Any, None], limit_s: float) -> None:
        """Run in the loop and wait: nothing of the old assignment may be under way when this returns."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            return None  # the loop is closed: the process is at its end, everything was given back before
        begun = member = time.monotonic()
        deadline = begun + limit_s
        while True:
            # The last commit of a revocation needs the identity of now, not of the last poll.
            self.metadata = self._consumer.consumer_group_metadata()
            if identity.parse(self.metadata).is_member:
                member = time.monotonic()
            elif time.monotonic() - member > _NO_MEMBER_S:
                # on_lost cannot come before this callback returns, and its commit would wait for ever.
                self._loop.call_soon_threadsafe(self._listener.membership_lost)
                member = time.monotonic()
            try:
                return future.result(_POLL_S)
            except concurrent.futures.TimeoutError:
                if time.monotonic() < deadline:
                    continue
                log.error("a rebalance callback did not end in %.0f s: ending the process", limit_s)
            except Exception:
                log.exception("a rebalance callback failed: ending the process")
            self._config.exit(Exit.REBALANCE_STUCK)
            return None


def _parts(parts: Sequence[TopicPartition]) -> set[Part]:
    return {(part.topic, part.partition) for part in parts}
