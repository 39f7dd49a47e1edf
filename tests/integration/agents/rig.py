"""A router and scripted workers on a real Kafka, with topics of their own; told apart by prefix."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import confluent_kafka as ck

from ops.stack.leash import leashed
from schemas.records import DeadLetter, JobOptions, JobRequest, Lifecycle
from schemas.states import TERMINAL
from schemas.tiers import Tier
from streams.codec import Codec
from streams.settings import KafkaSettings, load
from streams.topics import Topology
from tests.integration.agents.scripted_worker import executions_in
from tests.topics import made_topics

PARTITIONS = 4


class Rig:
    """Start and kill processes, send jobs, read what became of them."""

    def __init__(self, bootstrap: str, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder, self.effects = folder, folder / "effects"
        self._environment = {
            "PATH": os.environ["PATH"],
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "TIERFLOW_TOPIC_PREFIX": f"rig{uuid.uuid4().hex[:8]}.",
            "TIERFLOW_PARTITIONS": str(PARTITIONS),
            "TIERFLOW_REPLICATION": "1",
            "TIERFLOW_DATA_DIR": str(folder),
            # Wide: what these tests look at is not to wait for a provider.
            "RATE_LIMIT_SENDGRID": "per_second=2000,concurrent=500,burst=4000",
            **(settings or {}),
        }
        self.kafka: KafkaSettings = load(self._environment).kafka
        made_topics(self.kafka)
        self.topology, self.codec = Topology.of(self.kafka), Codec()
        self._producer = ck.Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self.histories: dict[str, list[Lifecycle]] = defaultdict(list)
        self.letters: list[DeadLetter] = []
        self._reader = self._read_from(
            [self.topology.lifecycle(Tier.IMPORTANT), *self.topology.all_dead_letters], bootstrap
        )

    def _read_from(self, topics: list[str], bootstrap: str) -> ck.Consumer:
        reader = ck.Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "rig", "isolation.level": "read_committed",
             "enable.auto.commit": False}
        )  # fmt: skip
        reader.assign([ck.TopicPartition(topic, p, 0) for topic in topics for p in range(PARTITIONS)])
        return reader

    # -- processes

    def router(self) -> None:
        """Start the router and the limiter."""
        self._start("router", "ops.cli.main", "router")
        self.limiter()

    def limiter(self) -> None:
        """Start the limiter."""
        self._start("limiter", "ops.cli.main", "limiter")

    def worker(self, name: str) -> None:
        """Start a scripted worker under this instance name."""
        self._start(name, "tests.integration.agents.scripted_worker", str(self.effects))

    def _start(self, name: str, *arguments: str, **settings: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as output:
            self._children[name] = subprocess.Popen(
                leashed((sys.executable, "-m", *arguments), signal.SIGTERM), stdout=output, stderr=output,
                env={**self._environment, "TIERFLOW_INSTANCE": name, **settings},
                cwd=Path(__file__).parents[3],
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """End a process without warning."""
        self._children[name].kill()
        self._children[name].wait()

    def has_ended(self, name: str) -> bool:
        """Whether the process is gone."""
        return self._children[name].poll() is not None

    def stop(self) -> None:
        """End every process as an operator would."""
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            child.wait(90)
        self._reader.close()

    @property
    def now_s(self) -> float:
        """The time."""
        return time.time()

    # -- jobs

    def send(self, kind: str, data: dict[str, Any], options: JobOptions | None = None) -> str:
        """Produce one job request as any Kafka client would; returns its id."""
        queue = {"chat-message": "chat_messages", "send-email": "communication"}[kind]
        request = JobRequest(
            str(uuid.uuid4()), queue, kind, json.dumps(data), time.time_ns() // 1_000_000,
            options or JobOptions(),
        )  # fmt: skip
        key = str(data.get("conversationId", request.job_id)).encode()
        self._producer.produce(self.topology.job_requests, self.codec.encode(request), key)
        self._producer.poll(0)
        return request.job_id

    def chat(self, conversation: str, seq: int, options: JobOptions | None = None, **script: Any) -> str:
        """A job ordered by its conversation."""
        data = {"userId": "u", "conversationId": conversation, "message": "m", "seq": seq, "script": script}
        return self.send("chat-message", data, options)

    def flush(self) -> None:
        """Wait until everything sent is on the topics."""
        assert self._producer.flush(120) == 0

    # -- what became of them

    def read(self) -> None:
        """Take in what was written since."""
        for message in self._reader.consume(1000, 0.2):
            assert message.error() is None, message.error()
            if "lifecycle" in (message.topic() or ""):
                record = self.codec.decode(Lifecycle, message.value() or b"")
                self.histories[record.job_id].append(record)
            else:
                self.letters.append(self.codec.decode(DeadLetter, message.value() or b""))

    def moves(self, job_id: str) -> list[str]:
        """The states that a job went through, in the order written."""
        return [move.to_state for record in self.histories[job_id] for move in record.transitions]

    def ends(self, job_id: str) -> list[str]:
        """Its terminal states: exactly one when all is well."""
        return [state for state in self.moves(job_id) if state in TERMINAL]

    def wait(self, condition: Callable[[], bool], limit_s: float = 180) -> None:
        """Read until the condition holds; AssertionError after the limit."""
        deadline = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {limit_s} s; logs in {self.folder}"
            self.read()

    def executions(self) -> list[tuple[str, str, int, int]]:
        """Every execution that was started: job id, ordering key, sequence, attempt."""
        return executions_in(self.effects)
