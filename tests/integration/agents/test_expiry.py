"""Idempotency keys past their retention, on a real Kafka: their disk is free, for good."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import confluent_kafka as ck
import pytest

from agents.ownership import MARK
from connectors.kafka.murmur import partition_of
from schemas.records import IdempotencyEntry, Job, JobOptions, JobRequest
from schemas.tiers import DAY_MS, Tier
from streams.core.admission import Source, job_of_request
from streams.transport.rocks import RocksStore, shared_cache, store_path
from tests.integration.agents.rig import PARTITIONS, Rig

NOW_MS = time.time_ns() // 1_000_000


class Keys(Rig):
    """A rig whose workers find keys that other ones left."""

    @property
    def changelog(self) -> str:
        return self.topology.idempotency(Tier.IMPORTANT)

    def request(self, key: str) -> JobRequest:
        """A job under this key; all of them are in one partition."""
        data = json.dumps({"conversationId": "c", "seq": 0})
        options = JobOptions(idempotency_key=key)
        return JobRequest(
            str(uuid.uuid4()), "validation_requests", "validation-request", data, NOW_MS, options
        )  # fmt: skip

    def left(self, key: str, expires_at: int) -> None:
        """What a worker wrote when a job of this key was completed."""
        job = job_of(self.request(key))
        entry = IdempotencyEntry(f"first of {key}", job.data_hash, "completed", expires_at, '{"data":1}')
        assert job.idempotency is not None
        self._producer.produce(
            self.changelog, self.codec.encode(entry), job.idempotency, partition=self.partition
        )  # fmt: skip

    @property
    def partition(self) -> int:
        return partition_of(job_of(self.request("")).ordering_key.encode(), PARTITIONS)

    def submit(self, key: str) -> str:
        request = self.request(key)
        self._producer.produce(self.topology.job_requests, self.codec.encode(request), b"c")
        self.flush()
        return request.job_id

    def in_log(self) -> dict[bytes, bytes | None]:
        """The last value of every key in the changelog."""
        reader = ck.Consumer({**self.kafka.lone_reader(), "enable.partition.eof": True})
        reader.assign([ck.TopicPartition(self.changelog, self.partition, 0)])
        found: dict[bytes, bytes | None] = {}
        while True:
            message = reader.poll(30)
            assert message is not None
            if message.error() is not None:
                reader.close()
                return found
            found[message.key() or b""] = message.value()

    def on_disk(self, worker: str, folder: Path) -> dict[bytes, str]:
        """The job of each key in the store of a worker that has ended."""
        owner = f"{self.kafka.topic_prefix}worker-2-{worker}"
        path = store_path(folder / "state", owner, "idempotency", self.partition)
        store = RocksStore(path, shared_cache(), 3_600)
        rows = dict(store.scan(b"", None))
        store.close()
        return {
            key: self.codec.decode(IdempotencyEntry, raw).job_id for key, raw in rows.items() if key != MARK
        }


def job_of(request: JobRequest) -> Job:
    return job_of_request(request, Source("", 0, 0))


@pytest.fixture
def rig(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Keys]:
    made = Keys(kafka_bootstrap, tmp_path)
    yield made
    made.stop()


def test_expired_keys_leave_the_store_and_its_changelog_and_their_jobs_run_again(
    rig: Keys, tmp_path: Path
) -> None:
    forgotten, again, live = (job_of(rig.request(key)).idempotency or b"" for key in ("f", "a", "l"))
    rig.left("f", NOW_MS - 2 * DAY_MS)
    rig.left("a", NOW_MS - 2 * DAY_MS)
    rig.left("l", NOW_MS + DAY_MS)
    rig.flush()
    assert None not in rig.in_log().values()
    rig._start("router", "ops.cli.main", "router")
    rig.worker("a")
    rig.wait(lambda: rig.in_log()[forgotten] is None and rig.in_log()[again] is None)
    first = rig.submit("l")
    rig.wait(lambda: rig.ends(first) == ["duplicate"])
    rig.kill("a")
    assert rig.on_disk("a", tmp_path) == {live: "first of l"}

    elsewhere = tmp_path / "elsewhere"
    program = "tests.integration.agents.scripted_worker"
    rig._start("b", program, str(rig.effects), TIERFLOW_DATA_DIR=str(elsewhere))
    second, anew = rig.submit("l"), rig.submit("a")
    rig.wait(lambda: rig.ends(second) == ["duplicate"] and rig.ends(anew) == ["completed"])
    assert [job for job, *_ in rig.executions()] == [anew]
    rig.kill("b")
    assert rig.on_disk("b", elsewhere) == {live: "first of l", again: anew}
