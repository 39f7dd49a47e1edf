"""`tierflow replay` as a person runs it, on a real Kafka."""

import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka.reading import Span
from connectors.kafka.replay_index import BLOCK, ReplayIndex, key_of
from schemas.records import Event
from tests.integration.connectors.sinking import CODEC, Feed
from tests.stack import ROOT, clean_environment
from tests.unit.connectors.postgres.builders import NOW

RECORDS, DOCUMENTS = 12_000, 6_000


@pytest.fixture(scope="module")
def feed(kafka_bootstrap: str) -> Iterator[Feed]:
    made = Feed.create(kafka_bootstrap, f"replay-{secrets.token_hex(3)}.", partitions=3)
    for number in range(RECORDS):
        document = f"doc-{number % DOCUMENTS}"
        event = Event(
            f"event-{number}", "cell_update", document, "user", NOW, "{}", tenant_id=f"t-{number % 7}"
        )
        made.send_raw(made.topology.events, CODEC.encode(event), document)
    made.flush()
    yield made
    made.delete()


@pytest.fixture
def copy(feed: Feed) -> Iterator[str]:
    """The name of a topic of one's own, taken away afterwards."""
    name = f"copy-{secrets.token_hex(3)}"
    yield name
    admin = AdminClient(feed.kafka.client())
    if name in admin.list_topics(timeout=60).topics:
        for deleted in admin.delete_topics([name]).values():
            deleted.result(60)


def started(feed: Feed, data: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = clean_environment(
        {
            "KAFKA_BOOTSTRAP_SERVERS": feed.kafka.bootstrap_servers,
            "TIERFLOW_TOPIC_PREFIX": feed.kafka.topic_prefix,
            "TIERFLOW_PARTITIONS": "3",
            "TIERFLOW_REPLICATION": "1",
            "TIERFLOW_DATA_DIR": str(data),
        }
    )
    return subprocess.Popen(
        [sys.executable, "-m", "ops.cli.main", "replay", *arguments],
        cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def replay(feed: Feed, data: Path, *arguments: str) -> dict[str, Any]:
    with started(feed, data, *arguments, "--json") as process:
        out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    found: dict[str, Any] = json.loads(out)
    return found


def committed(feed: Feed, topic: str) -> list[tuple[int, bytes, dict[str, bytes]]]:
    """Partition, value and headers of every committed record, in order within a partition."""
    consumer = Consumer(
        {
            **feed.kafka.client(),
            "group.id": "look",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    numbers = range(feed.kafka.partitions)
    consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
    found: list[Any] = []
    at_end: set[int | None] = set()
    deadline = time.monotonic() + 120
    while len(at_end) < len(numbers):
        assert time.monotonic() < deadline
        for message in consumer.consume(1_000, 0.2):
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                at_end.add(message.partition())
            else:
                found.append((message.partition(), message.value(), dict(message.headers() or [])))
    consumer.close()
    return found


def test_a_dry_run_counts_and_writes_nothing(feed: Feed, tmp_path: Path, copy: str) -> None:
    report = replay(feed, tmp_path, "events", "--tenant", "t-3", "--into", copy)
    assert (report["executed"], report["records"]) == (False, len(range(3, RECORDS, 7)))
    assert copy not in AdminClient(feed.kafka.client()).list_topics(timeout=60).topics


def test_everything_is_copied_with_key_headers_time_and_order(feed: Feed, tmp_path: Path, copy: str) -> None:
    report = replay(feed, tmp_path, "events", "--into", copy, "--execute")
    assert report["written"] == RECORDS
    original, copied = committed(feed, feed.topology.events), committed(feed, copy)
    for number in range(3):
        assert [value for at, value, _ in copied if at == number] == [
            value for at, value, _ in original if at == number
        ]
    assert copied[0][2]["replayed-from"].startswith(f"{feed.topology.events}/".encode())


def test_killed_again_and_again_it_copies_each_record_once(feed: Feed, tmp_path: Path, copy: str) -> None:
    arguments: tuple[str, ...] = ("--into", copy, "--execute", "--rate", "2500")
    kills = 0
    while True:
        process = started(feed, tmp_path, "events", *arguments)
        assert process.stderr is not None
        if kills == 0:
            name = process.stderr.readline().split()[1].rstrip(":")
            arguments = ("--resume", name, "--rate", "2500")
        try:
            process.wait(2.3 if kills < 3 else 60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        process.stderr.close()
        assert process.stdout is not None
        process.stdout.close()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
    assert kills >= 2
    original, copied = committed(feed, feed.topology.events), committed(feed, copy)
    for number in range(3):
        assert [value for at, value, _ in copied if at == number] == [
            value for at, value, _ in original if at == number
        ]


def test_a_finished_replay_resumed_writes_nothing_more(feed: Feed, tmp_path: Path, copy: str) -> None:
    report = replay(feed, tmp_path, "events", "--document", "doc-1", "--into", copy, "--execute")
    assert report["written"] == 2
    assert replay(feed, tmp_path, "events", "--resume", report["name"])["written"] == 0
    assert len(committed(feed, copy)) == 2


def test_a_document_is_found_in_its_partition_alone_and_by_the_index(feed: Feed, tmp_path: Path) -> None:
    for _ in range(2):
        report = replay(feed, tmp_path, "events", "--document", "doc-5")
        assert report["records"] == 2
        assert len(report["partitions"]) == 1
        assert report["offsets_read"] <= 2 * BLOCK


def test_the_index_is_extended_by_what_came_since(feed: Feed, tmp_path: Path) -> None:
    assert replay(feed, tmp_path, "events", "--job", "late-1")["records"] == 0
    event = Event("late-1", "document_change", "doc-late", "user", NOW, "{}")
    feed.send_raw(feed.topology.events, CODEC.encode(event), "doc-late")
    feed.flush()
    report = replay(feed, tmp_path, "events", "--job", "late-1")
    assert report["records"] == 1
    assert report["offsets_read"] <= BLOCK


def test_with_or_without_the_index_the_same_is_found(feed: Feed, tmp_path: Path) -> None:
    for asked in (
        ("--tenant", "t-1"),
        ("--document", "doc-77", "--tenant", "t-0"),
        ("--type", "cell_update"),
    ):
        with_index = replay(feed, tmp_path, "events", *asked)
        without = replay(feed, tmp_path, "events", *asked, "--no-index")
        assert with_index["records"] == without["records"]


def test_offsets_and_partitions_bound_a_replay(feed: Feed, tmp_path: Path) -> None:
    report = replay(feed, tmp_path, "events", "--from", "10", "--until", "25", "--partition", "1")
    assert report["partitions"] == {"1": [10, 25]}
    assert replay(feed, tmp_path, "events", "--until", "1d")["offsets"] == 0


def test_a_topic_replayed_into_itself_ends_where_it_began_to_end(
    feed: Feed, tmp_path: Path, copy: str
) -> None:
    first = replay(feed, tmp_path, "events", "--document", "doc-9", "--into", copy, "--execute")
    again = replay(feed, tmp_path, copy, "--into", copy, "--execute")
    assert (first["written"], again["written"]) == (2, 2)
    assert len(committed(feed, copy)) == 4


def test_standard_output_gets_a_line_of_json_a_record(feed: Feed, tmp_path: Path) -> None:
    with started(feed, tmp_path, "events", "--document", "doc-11", "--into", "-") as process:
        out, _ = process.communicate(timeout=120)
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["record"]["event_id"] for line in lines] == ["event-11", "event-6011"]


def test_ingress_needs_to_be_told_that_effects_are_wanted(feed: Feed, tmp_path: Path) -> None:
    arguments = ("events", "--document", "doc-3", "--into", "events", "--execute")
    before = len(committed(feed, feed.topology.events))
    with started(feed, tmp_path, *arguments) as refused:
        _, said = refused.communicate(timeout=120)
    assert refused.returncode == 1
    assert "--with-effects" in said
    assert len(committed(feed, feed.topology.events)) == before
    assert replay(feed, tmp_path, *arguments, "--with-effects")["written"] == 2
    assert len(committed(feed, feed.topology.events)) == before + 2


def test_another_incarnation_of_a_topic_has_an_index_of_its_own(tmp_path: Path) -> None:
    span, key = Span("t", 0, 0, BLOCK), key_of("document", "d")
    with ReplayIndex(tmp_path, "t", "one") as index:
        index.extend([(key, 0, 0)], [span])
        assert index.uncovered([span]) == []
        assert index.narrowed([span], [key]) == [span]
    with ReplayIndex(tmp_path, "t", "two") as other:
        assert other.uncovered([span]) == [span]
        assert other.narrowed([span], [key]) == []
