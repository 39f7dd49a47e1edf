"""The router: classifies what producers send, fills in every default, and writes it to its tier's lane.

Keeps no state but its positions, and is the only writer of the tier topics. What does not decode or validate
becomes a dead letter.
"""

from typing import Any

from confluent_kafka import Message

from agents.executor import now_ms
from agents.letters import NO_TIER, refused, traceparent_in, undecodable
from agents.recording import headers_of
from schemas.errors import ContractError
from schemas.priorities import lane_of
from schemas.records import Event, Job, JobRequest
from schemas.tiers import Tier
from streams.codec import Codec
from streams.core.admission import Source, job_of_event, job_of_request
from streams.metrics import RouterMetrics
from streams.topics import Topology
from streams.transport.app import EngineApp
from streams.transport.step import Chunk


class Router:
    """Two agents, one for each ingress topic."""

    def __init__(self, app: EngineApp, topology: Topology, codec: Codec, metrics: RouterMetrics) -> None:
        self._app, self._topology, self._codec, self._metrics = app, topology, codec, metrics
        self._records: dict[str, type[JobRequest] | type[Event]] = {
            topology.events: Event, topology.job_requests: JobRequest,
        }  # fmt: skip

    def attach(self) -> None:
        """Declare the agents on the app."""
        # Never written to by us: the engine keeps its source positions in the changelog of an app's table.
        self._app.Table("positions", changelog=self._topology.router_positions)
        for topic in (self._topology.events, self._topology.job_requests):
            self._app.agent(self._app.chunks(topic), name=f"route-{topic}")(self._agent)

    async def _agent(self, stream: Any) -> None:
        async for chunk in stream:
            for message in chunk.records:
                self._route(chunk, message)

    def _route(self, chunk: Chunk, message: Message) -> None:
        raw = message.value()
        if raw is None:
            self._metrics.skipped.labels(chunk.topic).inc()
            return
        source = Source(chunk.topic, message.partition() or 0, message.offset() or 0, traceparent_in(message))
        record: JobRequest | Event | None = None
        try:
            record = self._codec.decode(self._records[chunk.topic], raw)
            job = _admitted(record, source)
        except ContractError as error:
            self._refuse(chunk, message, record, error)
            return
        topic = self._topology.lane(Tier(job.tier), lane_of(job.priority))
        chunk.send(topic, self._codec.encode(job), job.ordering_key.encode(), headers=headers_of(job))
        self._metrics.routed.labels(topic).inc()

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
    return job_of_event(record, source) if isinstance(record, Event) else job_of_request(record, source)
