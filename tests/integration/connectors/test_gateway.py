"""The gateway and its producer against a real Kafka."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.kafka.admin import check_topics, create_topics
from connectors.kafka.producer import Outgoing, Producer
from ops.stack.ports import Ports
from schemas.errors import ConfigError, ContractError, UnavailableError
from schemas.records import JobRequest
from streams.codec import Codec
from streams.settings import KafkaSettings
from streams.topics import Topology
from tests.integration.connectors.sinking import await_true
from tests.topics import made_topics

FORMULA = {
    "queue": "robot",
    "type": "formula_calculation",
    "data": {"documentId": "d1", "userId": "ada", "cellId": "A1", "formula": "=1+1"},
}


def kafka_settings(bootstrap: str, prefix: str, partitions: int = 3) -> KafkaSettings:
    return KafkaSettings.model_validate(
        {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "TIERFLOW_TOPIC_PREFIX": prefix,
            "TIERFLOW_PARTITIONS": partitions,
            "TIERFLOW_REPLICATION": 1,
        }
    )


@pytest.fixture(scope="module")
def kafka(kafka_bootstrap: str) -> Iterator[KafkaSettings]:
    settings = kafka_settings(kafka_bootstrap, f"gateway-{secrets.token_hex(4)}.")
    made_topics(settings)
    yield settings
    remove_topics(AdminClient(settings.client()), settings)


def remove_topics(admin: AdminClient, settings: KafkaSettings) -> None:
    names = [topic.name for topic in Topology.of(settings).topics()]
    for answer in admin.delete_topics(names).values():
        answer.result(30)


@pytest.fixture
def topic(kafka: KafkaSettings) -> str:
    return Topology.of(kafka).job_requests


@asynccontextmanager
async def producing(kafka: KafkaSettings, instance: str | None = None) -> AsyncIterator[Producer]:
    producer = Producer(kafka, instance or f"test-{secrets.token_hex(4)}")
    producer.start()
    try:
        yield producer
    finally:
        await producer.close()


def committed(kafka: KafkaSettings, topic: str, mark: bytes) -> list[Message]:
    """Every committed record whose value holds the mark: reads to the end as it is now."""
    consumer = Consumer(
        {**kafka.client(), "group.id": secrets.token_hex(8), "isolation.level": "read_committed",
         "enable.auto.commit": False, "enable.partition.eof": True}
    )  # fmt: skip
    places = [TopicPartition(topic, number, 0) for number in range(kafka.partitions)]
    consumer.assign(places)
    found: list[Message] = []
    ended: set[int | None] = set()
    deadline = time.monotonic() + 90
    while len(ended) < len(places):
        assert time.monotonic() < deadline, "the topic was not read to its end in time"
        message = consumer.poll(1)
        if message is None:
            continue
        error = message.error()
        if error is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            ended.add(message.partition())
        elif mark in (message.value() or b""):
            found.append(message)
    consumer.close()
    return found


async def test_a_send_that_returned_is_readable_with_key_headers_and_javas_partition(
    kafka: KafkaSettings, topic: str
) -> None:
    mark = secrets.token_hex(8).encode()
    async with producing(kafka) as producer:
        await producer.send(topic, b"document-1", mark, {"job-id": b"7"})
    [record] = committed(kafka, topic, mark)
    assert (record.key(), record.headers()) == (b"document-1", [("job-id", b"7")])
    # toPositive(murmur2("document-1")) % 3 of the Java client.
    assert record.partition() == murmur2(b"document-1") % 3


async def test_ten_thousand_sends_at_once_are_each_there_once_and_in_order(
    kafka: KafkaSettings, topic: str
) -> None:
    mark = secrets.token_hex(8).encode()
    async with producing(kafka) as producer:
        await asyncio.gather(
            *(producer.send(topic, b"one key", mark + b"%06d" % number) for number in range(10_000))
        )
    values = [record.value() for record in committed(kafka, topic, mark)]
    assert values == [mark + b"%06d" % number for number in range(10_000)]


async def test_a_batch_with_a_record_that_does_not_fit_leaves_nothing(
    kafka: KafkaSettings, topic: str
) -> None:
    mark = secrets.token_hex(8).encode()
    async with producing(kafka) as producer:
        with pytest.raises(ContractError):
            await producer.send_all(
                [Outgoing(topic, b"k", mark), Outgoing(topic, b"k", mark + b"x" * 2_000_000)]
            )
        assert committed(kafka, topic, mark) == []
        await producer.send_all([Outgoing(topic, b"k", mark), Outgoing(topic, b"l", mark)])
    assert len(committed(kafka, topic, mark)) == 2


async def test_a_record_that_does_not_fit_is_the_callers_fault_and_the_next_one_goes(
    kafka: KafkaSettings, topic: str
) -> None:
    async with producing(kafka) as producer:
        with pytest.raises(ContractError):
            await producer.send(topic, b"k", b"x" * 2_000_000)
        await producer.send(topic, b"k", b"small")


async def test_a_second_process_of_the_same_name_fences_the_first(kafka: KafkaSettings, topic: str) -> None:
    mark = secrets.token_hex(8).encode()
    name = f"twin-{secrets.token_hex(4)}"
    async with producing(kafka, name) as first:
        await first.send_all([Outgoing(topic, b"k", mark)])
        async with producing(kafka, name) as second:
            await second.send_all([Outgoing(topic, b"k", mark)])
            with pytest.raises(UnavailableError):
                await first.send_all([Outgoing(topic, b"k", mark)])
    assert len(committed(kafka, topic, mark)) == 2


async def test_kafka_away_is_known_soon() -> None:
    nowhere = kafka_settings("127.0.0.1:1", "x.")
    async with producing(nowhere) as producer:
        attempts = (
            producer.probe("x.events"),
            producer.send("x.events", b"k", b"v"),
            producer.send_all([Outgoing("x.events", b"k", b"v")]),
        )
        began = time.monotonic()
        found = await asyncio.gather(*attempts, return_exceptions=True)
        # Five seconds each and what the machine adds; without a limit of ours it is a minute.
        assert time.monotonic() - began < 45
    assert [type(one) for one in found] == [UnavailableError] * 3


async def test_a_topic_that_is_missing_is_no_place_to_accept_jobs(kafka: KafkaSettings) -> None:
    async with producing(kafka) as producer:
        with pytest.raises(UnavailableError):
            await producer.probe("gateway-no-such-topic")


def test_topics_are_created_once_and_differences_are_told(kafka_bootstrap: str) -> None:
    settings = kafka_settings(kafka_bootstrap, f"topics-{secrets.token_hex(4)}.", partitions=2)
    topology = Topology.of(settings)
    admin = AdminClient(settings.client())
    early = admin.create_topics([NewTopic(topology.events, 2, 1, config={"retention.ms": "1000"})])
    early[topology.events].result(30)
    created = create_topics(settings)
    try:
        assert set(created) == {t.name for t in topology.topics()} - {topology.events}
        assert create_topics(settings) == []
        [difference] = check_topics(settings)
        assert difference.startswith(f"{topology.events} has retention.ms=1000")
        with pytest.raises(ConfigError, match="partitions"):
            create_topics(kafka_settings(kafka_bootstrap, settings.topic_prefix, partitions=3))
    finally:
        remove_topics(admin, settings)


def murmur2(key: bytes) -> int:
    """Kafka's murmur2 as its Java client computes it, made positive."""
    length, mask = len(key), 0xFFFFFFFF
    h = (0x9747B28C ^ length) & mask
    for at in range(0, length - length % 4, 4):
        k = int.from_bytes(key[at : at + 4], "little") * 0x5BD1E995 & mask
        k = (k ^ k >> 24) * 0x5BD1E995 & mask
        h = h * 0x5BD1E995 & mask ^ k
    rest = key[length - length % 4 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * 0x5BD1E995 & mask
    h = (h ^ h >> 13) * 0x5BD1E995 & mask
    return (h ^ h >> 15) & 0x7FFFFFFF


@pytest.fixture
def gateway(kafka: KafkaSettings, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A gateway process whose Redis and Postgres are away; its address, and itself."""
    port = Ports({}).get("gateway")
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "TIERFLOW_TOPIC_PREFIX": kafka.topic_prefix,
        "TIERFLOW_PARTITIONS": str(kafka.partitions),
        "TIERFLOW_REPLICATION": "1",
        "DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "TIERFLOW_AUTH": "open",
        "TIERFLOW_PORT": str(port),
        "TIERFLOW_INSTANCE": f"gateway-{port}",
        "TIERFLOW_DATA_DIR": str(tmp_path),
    }
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.cli.main", "gateway"], env=environment, stdout=log, stderr=log
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while not answers(url):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, "the gateway did not answer in time"
        time.sleep(0.05)
    yield url, process
    process.kill()
    process.wait()
    log.close()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["status"]


def test_the_process_accepts_jobs_without_redis_and_postgres_and_stops_when_asked(
    gateway: tuple[str, subprocess.Popen[bytes]], kafka: KafkaSettings, topic: str
) -> None:
    url, process = gateway
    api = f"{url}/api/v1/queue"
    document = secrets.token_hex(8)
    job = json.loads(json.dumps(FORMULA).replace("d1", document))
    with httpx.Client(timeout=60) as client:
        accepted = client.post(f"{api}/jobs", json=job)
        batch = client.post(
            f"{api}/jobs/batch",
            json={"queue": "robot", "jobs": [{"type": job["type"], "data": job["data"]}] * 3},
        )
        # Kafka is asked for two and a half seconds only.
        await_true(lambda: told(client.get(f"{url}/health/ready")) == (200, "degraded"), "it is ready")
        unknown = client.get(f"{api}/jobs/{accepted.json()['jobId']}")
    assert (accepted.status_code, batch.status_code) == (201, 201)
    assert unknown.status_code == 503
    requests = [
        Codec().decode(JobRequest, r.value() or b"") for r in committed(kafka, topic, document.encode())
    ]
    ids = [accepted.json()["jobId"], *(entry["jobId"] for entry in batch.json()["jobs"])]
    assert [request.job_id for request in requests] == ids
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
