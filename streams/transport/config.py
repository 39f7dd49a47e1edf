"""Settings of the engine and the librdkafka settings that follow from them."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from streams.transport.offset_metadata import MAX_WINDOW

Setting = str | int | float | bool


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """How one process takes part in its consumer group.

    `instance` is a fixed name: the transactional id is "<app id>-<instance>", so a process that is restarted
    under its name aborts what its predecessor left open. Two living processes must never share one.
    """

    bootstrap_servers: str
    instance: str
    state_dir: Path
    protocol: Literal["consumer", "classic"] = "consumer"
    extra: Mapping[str, Setting] = field(default_factory=dict)
    """Further librdkafka settings for every client, as TLS and SASL."""
    session_timeout_s: float = 6.0
    """Classic protocol only: with KIP-848 the broker's `group.consumer.session.timeout.ms` counts."""
    rebalance_timeout_s: float = 60.0
    linger_s: float = 0.05
    """Under load a transaction is filled for so long at least; an idle process commits at once."""
    linger_max_s: float = 0.2
    """And for so long at most, where committing itself takes long."""
    busy_records: int = 200
    """More records than this in a transaction count as load."""
    batch_records: int = 5_000
    """A transaction that holds so many records is committed without waiting for `linger_s`, and nothing more
    is delivered while so many are complete behind one that is under way."""
    chunk_records: int = 1_000
    backlog_records: int = 4_000
    window: int = MAX_WINDOW
    """Offsets between the lowest incomplete one and the last delivered one, per topic and partition."""
    drain_s: float = 3.0
    """How long running work may take to end when its partition is revoked."""
    transaction_timeout_s: float = 10.0
    transaction_stuck_s: float = 12.0
    """A transactional call that does not return for so long ends the process."""
    loop_stuck_s: float = 10.0
    """A loop that stands still for so long ends the process."""
    unstable_alarm_s: float = 60.0
    shutdown_s: float = 25.0
    store_max_age_s: float = 3 * 86_400.0
    """A local store not attached for so long is thrown away: tombstones may have been compacted meanwhile."""
    max_record_bytes: int = 950_000
    topic_check_s: float = 30.0
    """How long to wait at start for a broker that answers."""
    exit: Callable[[int], object] = os._exit

    def __post_init__(self) -> None:
        if not 0 < self.window <= MAX_WINDOW:
            raise ValueError(f"window must be 1..{MAX_WINDOW}, not {self.window}")
        if not 0 < self.chunk_records <= self.window // 2:
            raise ValueError(f"chunk_records must be 1..{self.window // 2}, half of the window")
        if self.protocol not in ("consumer", "classic"):
            raise ValueError(f"protocol must be 'consumer' or 'classic', not {self.protocol!r}")
        if not self.bootstrap_servers or not self.instance:
            raise ValueError("bootstrap_servers and instance must not be empty")

    def client(self) -> dict[str, Setting]:
        """Settings of every client.

        librdkafka polls a coordinator that answers CONCURRENT_TRANSACTIONS with retry.backoff.ms: at its
        default of 100 every commit would take 100 ms.
        """
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "socket.nagle.disable": True,
            "retry.backoff.ms": 2,
            "retry.backoff.max.ms": 200,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 500,
            "topic.metadata.propagation.max.ms": 2_000,
            **self.extra,
        }

    def consumer(self, group: str, *, one_topic: bool) -> dict[str, Setting]:
        """Settings of the group consumer.

        `range` gives partition p of all topics to one member. librdkafka's `range` stops the world, its
        cooperative assignor does not co-partition: so it serves only groups of a single topic.
        """
        common: dict[str, Setting] = {
            **self.client(),
            "group.id": group,
            "group.protocol": self.protocol,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            # Offsets below the log's start must be counted as a loss, never skipped silently.
            "auto.offset.reset": "error",
            # The end of a log is an event: markers before it are then no lag.
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 100,
            "fetch.min.bytes": 1,
            "fetch.queue.backoff.ms": 5,
            # The rebalance timeout: with the default of 300 s a crashed classic group may wait minutes.
            "max.poll.interval.ms": int(self.rebalance_timeout_s * 1000),
            # A pause throws away what was fetched beyond the application, so do not fetch far ahead.
            "queued.min.messages": 5_000,
            "queued.max.messages.kbytes": 16_384,
        }
        if self.protocol == "consumer":
            return {**common, "group.remote.assignor": "range"}
        return {
            **common,
            "partition.assignment.strategy": "cooperative-sticky" if one_topic else "range",
            "heartbeat.interval.ms": min(1_000, int(self.session_timeout_s * 1000 / 3)),
            "session.timeout.ms": int(self.session_timeout_s * 1000),
        }

    def transactional_producer(self, app_id: str) -> dict[str, Setting]:
        """Settings of the producer that carries steps."""
        return {
            **self.client(),
            "transactional.id": f"{app_id}-{self.instance}",
            "transaction.timeout.ms": int(self.transaction_timeout_s * 1000),
            "linger.ms": 0,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 200_000,
        }

    def plain_producer(self) -> dict[str, Setting]:
        """Settings of the producer for what is sent outside of steps."""
        return {
            **self.client(),
            "enable.idempotence": True,
            "linger.ms": 1,
            "partitioner": "murmur2_random",
        }

    def reader(self, group: str, isolation: str) -> dict[str, Setting]:
        """Settings of a consumer that reads changelogs and committed offsets without joining the group."""
        return {
            **self.client(),
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": isolation,
            "fetch.wait.max.ms": 20,
            "fetch.min.bytes": 1,
            "queued.max.messages.kbytes": 65_536,
        }
