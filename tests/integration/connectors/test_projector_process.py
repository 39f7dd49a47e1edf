"""The projector as the role runs it: a Redis that goes away, and one that forgets everything."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from connectors.postgres.migrate import migrate
from connectors.redis import keys
from tests.integration.connectors.sinking import Feed, SinkProcess, await_true, running
from tests.unit.connectors.postgres.builders import completed, job, lifecycle, started


@pytest.fixture
def feed(kafka_bootstrap: str) -> Iterator[Feed]:
    made = Feed.create(kafka_bootstrap, f"projector-{secrets.token_hex(4)}.", partitions=2)
    yield made
    made.delete()


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as made:
        made.flushdb()
        yield made


@pytest.fixture
def process(feed: Feed, database_url: str, redis_url: str, tmp_path: Path) -> SinkProcess:
    migrate(database_url)
    return SinkProcess(feed, database_url, redis_url, tmp_path / "sink.log")


def send_jobs(feed: Feed, first: int, last: int) -> None:
    for number in range(first, last):
        one = job(f"job-{number}", tier=1 + number % 3)
        # The history first: the two topics know nothing of each other's order.
        feed.send(lifecycle(one, started(), completed()))
        feed.send(one)
    feed.flush()


def counted(client: "redis.Redis", feed: Feed) -> dict[str, int]:
    counts: Any = client.hgetall(f"{keys.prefix_of(feed.kafka.topic_prefix)}count:money")
    return {state.decode(): int(count) for state, count in counts.items() if int(count)}


def test_a_redis_that_was_emptied_is_filled_again_from_the_topics(
    feed: Feed, process: SinkProcess, client: "redis.Redis"
) -> None:
    with running(process):
        send_jobs(feed, 0, 900)
        await_true(lambda: counted(client, feed) == {"completed": 900}, "900 completed jobs")
        client.flushdb()
        await_true(lambda: counted(client, feed) == {"completed": 900}, "900 completed jobs again")
        send_jobs(feed, 900, 1_000)
        await_true(lambda: counted(client, feed) == {"completed": 1_000}, "1000 completed jobs")


def test_a_redis_that_went_back_to_its_last_snapshot_is_filled_from_there(
    feed: Feed, process: SinkProcess, client: "redis.Redis"
) -> None:
    with running(process):
        send_jobs(feed, 0, 300)
        await_true(lambda: counted(client, feed) == {"completed": 300}, "300 completed jobs")
        snapshot: dict[bytes, Any] = {name: client.dump(name) for name in client.scan_iter(count=1_000)}
        send_jobs(feed, 300, 500)
        await_true(lambda: counted(client, feed) == {"completed": 500}, "500 completed jobs")
        with client.pipeline(transaction=True) as crash:
            crash.flushdb()
            for name, held in snapshot.items():
                crash.restore(name, 0, held)
            crash.execute()
        await_true(lambda: counted(client, feed) == {"completed": 500}, "500 completed jobs again")
        send_jobs(feed, 500, 600)
        await_true(lambda: counted(client, feed) == {"completed": 600}, "600 completed jobs")


def test_topics_that_were_made_anew_are_read_from_their_start(
    feed: Feed, process: SinkProcess, client: "redis.Redis"
) -> None:
    """The new logs are longer than the old ones were: nothing but the topics' ids shows it."""
    with running(process):
        send_jobs(feed, 0, 30)
        await_true(lambda: counted(client, feed) == {"completed": 30}, "30 completed jobs")
        process.stop()
        send_jobs(feed.made_anew(), 30, 130)
        process.start()
        await_true(lambda: counted(client, feed) == {"completed": 130}, "100 completed jobs more")


def test_kills_of_the_projector_change_no_count(
    feed: Feed, process: SinkProcess, client: "redis.Redis"
) -> None:
    with running(process):
        for batch in range(2):
            send_jobs(feed, 400 * batch, 400 * (batch + 1))
            await_some(client, feed, 400 * batch)
            process.kill()
            process.start()
        await_true(lambda: counted(client, feed) == {"completed": 800}, "800 completed jobs")


def await_some(client: "redis.Redis", feed: Feed, more_than: int) -> None:
    await_true(lambda: sum(counted(client, feed).values()) > more_than, f"more than {more_than} jobs")
