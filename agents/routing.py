"""What becomes of a record that a producer sent: the job of its tier's lane, or a dead letter."""

from collections import Counter

from confluent_kafka import Message

from agents.executor import now_ms
from agents.letters import NO_TIER, refused, traceparent_in, undecodable
from agents.recording import headers_of
from schemas.commands import is_command
from schemas.errors import ContractError
from schemas.priorities import lane_of
from schemas.records import Event, Job, JobRequest
from schemas.tiers import Tier
from streams.codec import Codec
from streams.core.admission import Source, job_of_command, job_of_event, job_of_request
from streams.metrics import RouterMetrics
from streams.topics import Topology
from streams.transport.step import Chunk


class Routing:
    """Passes records on in their order, as outputs of their chunk."""

    def __init__(self, topology: Topology, codec: Codec, metrics: RouterMetrics) -> None:
        self._topology, self._codec, self._metrics = topology, codec, metrics
        self._records: dict[str, type[JobRequest] | type[Event]] = {
            topology.events: Event, topology.job_requests: JobRequest,
        }  # fmt: skip
        self._lanes: dict[tuple[int, int], str] = {}

    def pass_on(self, chunk: Chunk) -> None:
        """Every record of a chunk."""
        passed: Counter[str] = Counter()
        for message in chunk.records:
            if topic := self._route(chunk, message):
                passed[topic] += 1
        for topic, records in passed.items():
            self._metrics.routed.labels(topic).inc(records)

    def _route(self, chunk: Chunk, message: Message) -> str | None:
        """The topic that a job was written to; None for what is no job."""
        raw = message.value()
        if raw is None:
            self._metrics.skipped.labels(chunk.topic).inc()
            return None
        source = Source(chunk.topic, message.partition() or 0, message.offset() or 0, traceparent_in(message))
        record: JobRequest | Event | None = None
        try:
            record = self._codec.decode(self._records[chunk.topic], raw)
            job = _admitted(record, source)
        except ContractError as error:
            self._refuse(chunk, message, record, error)
            return None
        topic = self._lane(job.tier, job.priority)
        chunk.send(topic, self._codec.encode(job), job.ordering_key.encode(), headers=headers_of(job))
        return topic

    def _lane(self, tier: int, priority: int) -> str:
        known = self._lanes.get((tier, priority))
        if known is None:
            known = self._lanes[tier, priority] = self._topology.lane(Tier(tier), lane_of(priority))
        return known

    def _refuse(
        self, chunk: Chunk, message: Message, record: JobRequest | Event | None, error: ContractError
    ) -> None:
        now = now_ms()
        letter = (
            undecodable(message, NO_TIER, error, now)
            if record is None
            else refused(message, NO_TIER, record, error, now)
        )
        topic = self._topology.ingress_dead_letters
        chunk.send(topic, self._codec.encode(letter), letter.key, chunk.partition)
        self._metrics.refused.labels(chunk.topic).inc()


def _admitted(record: JobRequest | Event, source: Source) -> Job:
    if isinstance(record, Event):
        return job_of_event(record, source)
    return job_of_command(record, source) if is_command(record) else job_of_request(record, source)
