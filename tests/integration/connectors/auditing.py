"""A small history on real topics and in a real Postgres, for the audit to be tampered with."""

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from prometheus_client import CollectorRegistry

from agents.letters import refused
from connectors.audit.audit import Report, audit
from connectors.audit.parts import AT_ONCE
from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.positions import Move
from connectors.postgres.migrate import migrate
from connectors.postgres.sink import PostgresSink, record_types
from schemas.errors import ContractError
from schemas.priorities import lane_of
from schemas.records import DeadLetter, Failure, Job, JobRequest, Transition
from schemas.tiers import Tier
from streams.core.admission import Source, job_of_request
from streams.topics import Topology
from tests.integration.connectors.sinking import CODEC, Feed
from tests.unit.connectors.gateway.fakes import payment
from tests.unit.connectors.postgres.builders import lifecycle

Places = dict[str, tuple[str, int, int]]
Record = tuple[str, str, bytes, str, int | None]


class NoLetters:
    """A letterbox that nothing should be posted into."""

    def post(self, letter: DeadLetter) -> None:
        raise AssertionError(letter)


@dataclass
class History:
    """Tier-1 payments `pay-0`, `pay-1`, ...: two of three completed, each third dead."""

    feed: Feed
    database_url: str
    count: int = 30
    now: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    at: Places = field(default_factory=dict)
    ends: Places = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)

    @property
    def topology(self) -> Topology:
        return self.feed.topology

    def write(self) -> "History":
        """Requests, tier records, transitions and dead letters, as router and worker write them."""
        requests = [self.request(number) for number in range(self.count)]
        places = self.send_all(
            [
                (self.topology.job_requests, one.job_id, CODEC.encode(one), one.job_id, None)
                for one in requests
            ]
        )
        for request in requests:
            topic, partition, offset = places[request.job_id]
            self.jobs[request.job_id] = job_of_request(request, Source(topic, partition, offset))
        self.at = self.send_all([self.job_record(job) for job in self.jobs.values()])
        self.ends = self.send_all(
            [self.end_record(number, job) for number, job in enumerate(self.jobs.values())]
        )
        self.send_all(
            [self.letter_record(job) for number, job in enumerate(self.jobs.values()) if number % 3 == 2]
        )
        return self

    def request(self, number: int) -> JobRequest:
        data = json.dumps(payment(100 + number)["data"])
        return JobRequest(f"pay-{number}", "money", "payment-process", data, self.now, tenant_id="acme")

    def request_record(self, request: JobRequest) -> Record:
        return self.topology.job_requests, request.job_id, CODEC.encode(request), request.job_id, None

    def admitted(self, number: int) -> Job:
        """A request more, and the job that the router would make of it: not written yet."""
        request = self.request(number)
        [source] = self.send_all([self.request_record(request)]).values()
        return job_of_request(request, Source(*source))

    def job_record(self, job: Job) -> Record:
        topic = self.topology.lane(Tier.CRITICAL, lane_of(job.priority))
        return topic, job.job_id, CODEC.encode(job), job.ordering_key, self.partition(job)

    def end_record(self, number: int, job: Job) -> Record:
        return self.history_record(job, *self.changes(number))

    def history_record(self, job: Job, *changes: Transition) -> Record:
        raw = CODEC.encode(lifecycle(job, *changes))
        topic = self.topology.lifecycle(Tier.CRITICAL)
        return topic, job.job_id, raw, job.ordering_key, self.partition(job)

    def changes(self, number: int) -> list[Transition]:
        begun = Transition(1, "waiting", "active", 1, self.now + 5)
        if number % 3 == 2:
            error = Failure("card_declined", "declined", False)
            return [begun, Transition(2, "active", "dead", 1, self.now + 9, error=error)]
        return [begun, Transition(2, "active", "completed", 1, self.now + 9, result='{"success":  true}')]

    def letter_record(self, job: Job) -> Record:
        letter = DeadLetter(
            f"{job.job_id}:{job.series}", 1, job.source_topic, job.source_partition, job.source_offset,
            b"k", CODEC.encode(job), {"h": b"\xff"}, "card_declined", "declined", "f", self.now, self.now + 9,
            job_id=job.job_id, series=job.series, queue=job.queue, type=job.type, data=job.data,
        )  # fmt: skip
        topic = self.topology.dead_letters(Tier.CRITICAL)
        return topic, letter.letter_id, CODEC.encode(letter), job.ordering_key, self.partition(job)

    def partition(self, job: Job) -> int:
        return int(job.job_id.split("-")[1]) % self.feed.kafka.partitions

    def send_all(self, records: Sequence[Record]) -> Places:
        """Produce records; where each came to stand, by its name."""
        places: Places = {}

        def placed(name: str) -> Any:
            def report(error: Any, message: Any) -> None:
                assert error is None, error
                places[name] = (message.topic(), message.partition(), message.offset())

            return report

        for topic, name, value, key, partition in records:
            where = {} if partition is None else {"partition": partition}
            self.feed.producer.produce(topic, value, key, on_delivery=placed(name), **where)
        self.feed.flush()
        return places

    def sink(self, *, skip: tuple[str, int, int] | None = None) -> None:
        """Let the sink write everything; `skip`: all but one record, whose offset it passes all the same."""
        records = record_types(self.topology)
        sink = PostgresSink(
            self.database_url, records, CODEC, NoLetters(), ConsumingMetrics(CollectorRegistry())
        )
        for topic in records:
            messages = self.feed.read(topic)
            ends = self.feed.ends([topic])
            positions = sink.positions(list(ends))
            fresh = [
                message for message in messages
                if message.offset() >= positions[topic, message.partition()]
                and (topic, message.partition(), message.offset()) != skip
            ]  # fmt: skip
            moves = [Move(*place, positions[place], end) for place, end in ends.items()]
            sink.write(fresh, moves)
        sink.close()

    def work(self, *, but: tuple[str, int, int] | None = None) -> None:
        """Commit what router and worker would have, up to `but` where it stands."""
        for group, topics in (
            ("router", [self.topology.events, self.topology.job_requests]),
            *((f"worker-{tier.value}", self.topology.lanes(tier)) for tier in Tier),
        ):
            consumer = Consumer({**self.feed.kafka.client(), "group.id": f"{self.topology.prefix}{group}"})
            ends = self.feed.ends(topics)
            offsets = [
                TopicPartition(*place, but[2] if but is not None and place == but[:2] else end)
                for place, end in ends.items()
            ]
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=False)
            consumer.close()

    def audit(self, at_once: int = AT_ONCE) -> Report:
        """The audit, without waiting for open transactions: there are none."""
        return audit(self.feed.kafka, CODEC, self.database_url, sleep=lambda _: None, at_once=at_once)

    def refuse(self, record: JobRequest) -> None:
        """Send a request that breaks its contract, and its dead letter as the router writes it."""
        [(name, (topic, partition, offset))] = self.send_all([self.request_record(record)]).items()
        [message] = [
            one for one in self.feed.read(topic) if (one.partition(), one.offset()) == (partition, offset)
        ]
        letter = refused(message, 0, record, ContractError.of("data", "no"), self.now)
        self.send_all([(self.topology.ingress_dead_letters, name, CODEC.encode(letter), "k", partition)])


def made(bootstrap: str, database_url: str, count: int = 30) -> History:
    """A history that is in order everywhere."""
    migrate(database_url)
    feed = Feed.create(bootstrap, f"audit-{secrets.token_hex(4)}.", 2)
    history = History(feed, database_url, count).write()
    history.sink()
    history.work()
    return history
