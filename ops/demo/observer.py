"""Watches the lifecycle topics themselves, committed records only: what became of each job, and how often.

Independent of the gateway and its stores: a job that ended twice, or never, shows here.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from schemas.records import Lifecycle
from schemas.states import TERMINAL
from schemas.tiers import Tier
from streams.codec import Codec
from streams.settings import KafkaSettings
from streams.topics import Topology

_POLL_S = 0.2
_BATCH = 1_000


@dataclass(slots=True)
class Seen:
    """One job as its records tell it. `ends` counts terminal transitions; there must be one."""

    tier: int
    type: str
    accepted_at: int
    state: str = ""
    ended_at: int | None = None
    ends: int = 0
    numbers: set[int] = field(default_factory=set)
    attempts: int = 0
    error_class: str | None = None


class Observer:
    """A thread that reads every lifecycle topic from its end on."""

    def __init__(self, kafka: KafkaSettings, codec: Codec) -> None:
        self.jobs: dict[str, Seen] = {}
        self._codec = codec
        self._stop = threading.Event()
        self._consumer = Consumer(
            {**kafka.client(), "group.id": "tierflow-demo", "enable.auto.commit": False, "log_level": 3}
        )
        self._topics = [Topology.of(kafka).lifecycle(tier) for tier in Tier]
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)

    def start(self) -> None:
        """Read from now on. Blocks until Kafka has said where the topics end."""
        known = self._consumer.list_topics(timeout=10).topics
        partitions = [(topic, number) for topic in self._topics for number in known[topic].partitions]
        # The ends as they are now, not as they are when the first fetch comes.
        ends = [
            TopicPartition(topic, number, self._end(TopicPartition(topic, number)))
            for topic, number in partitions
        ]
        self._consumer.assign(ends)
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def ended(self, ids: Collection[str]) -> int:
        """How many of these jobs have ended."""
        seen = self.jobs
        return sum(1 for job_id in ids if job_id in seen and seen[job_id].ends)

    def _end(self, partition: TopicPartition) -> int:
        marks = self._consumer.get_watermark_offsets(partition, timeout=10)
        return OFFSET_END if marks is None else int(marks[1])

    def _run(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(_BATCH, _POLL_S):
                value = message.value()
                if message.error() is None and value is not None:
                    self._note(self._codec.decode(Lifecycle, value))

    def _note(self, record: Lifecycle) -> None:
        seen = self.jobs.get(record.job_id)
        if seen is None:
            seen = self.jobs[record.job_id] = Seen(record.tier, record.type, record.accepted_at)
        for transition in record.transitions:
            if transition.number in seen.numbers and transition.to_state not in TERMINAL:
                continue
            seen.numbers.add(transition.number)
            seen.state = transition.to_state
            seen.attempts = max(seen.attempts, transition.attempt)
            if transition.to_state in TERMINAL:
                seen.ends += 1
                seen.ended_at = transition.at
                seen.error_class = transition.error.error_class if transition.error else None
