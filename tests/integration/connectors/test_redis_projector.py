"""The read model on a real Redis: the script, and what the gateway reads."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import pytest
import redis
from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from connectors.consuming.metrics import ConsumingMetrics
from connectors.consuming.positions import Move
from connectors.consuming.target import PositionMovedError, TargetAwayError
from connectors.redis import keys
from connectors.redis.entries import LONG
from connectors.redis.figures import Figures
from connectors.redis.projector import RedisProjector
from connectors.redis.rebuilt import clear, compare, free_database, in_database
from connectors.redis.status import CompletedKey, StatusStore
from connectors.views import fold_records
from schemas.catalogue import JOB_TYPES
from schemas.errors import UnavailableError
from schemas.records import Job, JobOptions, JobRequest, Lifecycle, Transition
from schemas.states import State
from schemas.tiers import DAY_MS
from tests.integration.connectors.sinking import CODEC
from tests.unit.connectors.postgres.builders import (
    NOW,
    completed,
    history,
    job,
    lifecycle,
    message,
    shuffled,
    started,
)

T = TypeVar("T")
TOPIC_PREFIX = "t."
PREFIX = keys.prefix_of(TOPIC_PREFIX)
JOBS, LIFE = "t.tier-1.urgent", "t.lifecycle.tier-1"
TYPES: dict[str, type[Job | Lifecycle]] = {JOBS: Job, LIFE: Lifecycle}
LENGTHS = [1, LONG]
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as made:
        made.flushdb()
        yield made


@pytest.fixture
def projector(redis_url: str, client: "redis.Redis") -> Iterator[RedisProjector]:
    made = RedisProjector(redis_url, PREFIX, TYPES, CODEC, ConsumingMetrics(CollectorRegistry()))
    yield made
    made.close()


def messages(records: Sequence[Job | Lifecycle]) -> list[Message]:
    topics = {Job: JOBS, Lifecycle: LIFE}
    return [message(topics[type(record)], at, CODEC.encode(record)) for at, record in enumerate(records)]


def ask(url: str, question: Callable[[StatusStore], Awaitable[T]]) -> T:
    async def answer() -> T:
        store = StatusStore(url, TOPIC_PREFIX)
        try:
            return await question(store)
        finally:
            await store.close()

    return asyncio.run(answer())


@pytest.mark.parametrize("seed", range(12))
def test_any_order_repeats_and_batches_give_the_view_of_the_records(
    projector: RedisProjector, redis_url: str, seed: int
) -> None:
    chance = random.Random(seed)
    # Some of them are long, and lie aside.
    histories = {
        name: history(job(name, data=f'"{name * chance.choice(LENGTHS)}"'), chance) for name in "abc"
    }
    histories["a"] += history(job("a", series=1, at=NOW + 9_000), chance)
    every = shuffled([record for records in histories.values() for record in records], chance)
    while every:
        size = chance.randint(1, len(every))
        projector.write(messages(every[:size]), [])
        every = every[size:]
    views = {name: fold_records(records) for name, records in histories.items()}
    states = [view.state for view in views.values()]
    for name, view in views.items():
        assert ask(redis_url, lambda store, name=name: store.job(name)) == view  # type: ignore[misc]
    counts = ask(redis_url, lambda store: store.counts("money"))
    assert {state: count for state, count in counts.items() if count} == {s: states.count(s) for s in states}
    for state in set(states):
        samples = ask(redis_url, lambda store, state=state: store.samples("money", state, 10))  # type: ignore[misc]
        assert sorted(samples) == [name for name, view in views.items() if view.state == state]


@pytest.mark.parametrize("seed", range(6))
def test_two_orders_and_batchings_of_the_same_records_leave_the_same_keys(
    redis_url: str, client: "redis.Redis", seed: int
) -> None:
    """What `rebuild redis` compares: jobs, counts, samples, completed keys."""
    chance = random.Random(seed)
    records: list[Job | Lifecycle] = []
    for number in range(30):
        one = history(job(f"job-{number}", at=_now_ms()), chance)
        # Only what did not complete is tried again.
        again = fold_records(one).state in ("dead", "cancelled")
        records += one
        records += history(job(f"job-{number}", series=1, at=_now_ms() + 9_000), chance) if again else []
    other = in_database(redis_url, free_database(redis_url))
    for url in (redis_url, other):
        written = RedisProjector(url, PREFIX, TYPES, CODEC, ConsumingMetrics(CollectorRegistry()))
        left = shuffled(records, chance)
        while left:
            size = chance.randint(1, len(left))
            written.write(messages(left[:size]), [])
            left = left[size:]
        written.close()
    found = compare(redis_url, other, PREFIX)
    clear(other)
    assert found.keys > 30
    assert (found.count, found.forgotten, found.missing, found.differing) == (0, 0, [], [])


def test_transitions_that_come_before_their_job_show_its_state(
    projector: RedisProjector, redis_url: str
) -> None:
    projector.write(messages([lifecycle(job(), started())]), [])
    found = ask(redis_url, lambda store: store.job("job-1"))
    assert found is not None
    assert (found.state, found.data) == ("active", None)
    projector.write(messages([job()]), [])
    found = ask(redis_url, lambda store: store.job("job-1"))
    assert found is not None
    assert (found.state, found.data) == ("active", job().data)
    assert ask(redis_url, lambda store: store.counts("money")) == {"active": 1}


@pytest.mark.parametrize("job_first", [True, False])
def test_a_completed_key_is_known_whichever_record_came_first(
    projector: RedisProjector, client: "redis.Redis", redis_url: str, job_first: bool
) -> None:
    recent = job(at=_now_ms())
    ended = lifecycle(recent, started(at=_now_ms()), completed(at=_now_ms()))
    records: list[Job | Lifecycle] = [recent, ended] if job_first else [ended, recent]
    digest = recent.idempotency
    assert digest is not None
    projector.write(messages(records[:1]), [])
    assert ask(redis_url, lambda store: store.completed_by_key(digest)) is None
    projector.write(messages(records[1:]), [])
    expected = CompletedKey("job-1", recent.data_hash)
    assert ask(redis_url, lambda store: store.completed_by_key(digest)) == expected
    left = int(str(client.pttl(keys.completed(PREFIX, digest))))
    assert 89 * DAY_MS < left <= 90 * DAY_MS


def test_a_dead_job_leaves_its_key_free(projector: RedisProjector, redis_url: str) -> None:
    dead = Transition(2, "active", "dead", 1, NOW)
    projector.write(messages([job(), lifecycle(job(), started(), dead)]), [])
    digest = job().idempotency
    assert digest is not None
    assert ask(redis_url, lambda store: store.completed_by_key(digest)) is None


def test_only_ended_jobs_are_forgotten(projector: RedisProjector, client: "redis.Redis") -> None:
    projector.write(messages([job()]), [])
    assert client.pttl(keys.job(PREFIX, "job-1")) == -1
    projector.write(messages([lifecycle(job(), started(), completed())]), [])
    assert 0 < int(str(client.pttl(keys.job(PREFIX, "job-1")))) <= keys.keep_ms(1)
    projector.write(messages([job(series=1)]), [])
    assert client.pttl(keys.job(PREFIX, "job-1")) == -1


def test_a_long_record_is_read_and_forgotten_with_its_job(
    projector: RedisProjector, client: "redis.Redis", redis_url: str
) -> None:
    long = job(data="x" * LONG)
    ended = lifecycle(long, started(), completed())
    name = keys.long(PREFIX, "job-1")
    projector.write(messages([long]), [])
    assert client.pttl(name) == -1
    assert int(str(client.strlen(keys.job(PREFIX, "job-1")))) < LONG
    projector.write(messages([ended]), [])
    assert 0 < int(str(client.pttl(name))) <= keys.keep_ms(1)
    assert ask(redis_url, lambda store: store.job("job-1")) == fold_records([long, ended])
    projector.write(messages([job(series=1)]), [])
    assert client.pttl(name) == -1
    assert ask(redis_url, lambda store: store.job("job-1")) == fold_records([long, ended, job(series=1)])


def test_a_history_of_any_length_is_kept(
    projector: RedisProjector, client: "redis.Redis", redis_url: str
) -> None:
    """From some length on it is appended to, and goes on living as long as its job says."""
    words = [
        Transition(number, "active", "active", 1, NOW + number, progress=number % 100)
        for number in range(2, 302)
    ]
    records: list[Job | Lifecycle] = [job(), lifecycle(job(), started())]
    records += [lifecycle(job(), word) for word in words]
    for record in records:
        projector.write(messages([record, record]), [])
    assert ask(redis_url, lambda store: store.job("job-1")) == fold_records(records)
    ended = lifecycle(job(), completed(302))
    projector.write(messages([ended]), [])
    projector.write(messages([ended]), [])
    assert ask(redis_url, lambda store: store.job("job-1")) == fold_records([*records, ended])
    assert ask(redis_url, lambda store: store.counts("money"))["completed"] == 1
    assert int(str(client.pttl(keys.job(PREFIX, "job-1")))) > 0
    projector.write(messages([job(series=1)]), [])
    assert client.pttl(keys.job(PREFIX, "job-1")) == -1


def test_the_samples_are_the_latest_and_bounded(projector: RedisProjector, redis_url: str) -> None:
    jobs = [job(f"job-{n:03}", at=NOW + n) for n in range(keys.SAMPLES + 20)]
    projector.write(messages([lifecycle(one, started(at=one.accepted_at)) for one in jobs]), [])
    assert ask(redis_url, lambda store: store.samples("money", "active", 2)) == ["job-119", "job-118"]
    assert len(ask(redis_url, lambda store: store.samples("money", "active", 1_000))) == keys.SAMPLES
    assert ask(redis_url, lambda store: store.counts("money")) == {"active": keys.SAMPLES + 20}


def test_the_oldest_waiting_job_is_known_however_many_wait(projector: RedisProjector, redis_url: str) -> None:
    jobs = [job(f"job-{n:03}", at=NOW + 1_000 * n) for n in range(keys.SAMPLES + 20)]
    projector.write(messages(jobs), [])
    figures = Figures(redis_url, TOPIC_PREFIX)
    now = NOW + 500_000
    assert figures.read(["money", "robot"], now)["money"].oldest_s == 500.0
    projector.write(messages([lifecycle(one, started()) for one in jobs[:5]]), [])
    found = figures.read(["money", "robot"], now)
    figures.close()
    assert found["money"].oldest_s == 495.0
    assert (found["money"].counts[State.WAITING], found["money"].counts[State.ACTIVE]) == (115, 5)
    assert (found["robot"].oldest_s, set(found["robot"].counts.values())) == (0.0, {0})


def test_a_batch_from_another_position_is_refused_whole(
    projector: RedisProjector, client: "redis.Redis"
) -> None:
    projector.write(messages([job("a")]), [Move(JOBS, 0, 0, 1)])
    with pytest.raises(PositionMovedError):
        projector.write(messages([job("b")]), [Move(LIFE, 0, 0, 1), Move(JOBS, 0, 0, 1)])
    assert client.exists(keys.job(PREFIX, "b")) == 0
    assert projector.positions([(JOBS, 0), (LIFE, 0)]) == {(JOBS, 0): 1, (LIFE, 0): 0}


def test_a_redis_that_lost_everything_refuses_the_next_batch(
    projector: RedisProjector, client: "redis.Redis"
) -> None:
    projector.write(messages([job("a")]), [Move(JOBS, 0, 0, 1)])
    client.flushdb()
    with pytest.raises(PositionMovedError):
        projector.write(messages([job("b")]), [Move(JOBS, 0, 1, 2)])


def test_records_that_do_not_decode_are_skipped(projector: RedisProjector, redis_url: str) -> None:
    odd_tier = job("odd", tier=9)
    written = [message(JOBS, 0, b"no avro"), message(JOBS, 1, None), *messages([odd_tier, job()])]
    assert projector.write(written, []) == 1
    assert ask(redis_url, lambda store: store.job("odd")) is None


def test_an_accepted_request_is_waiting_until_the_router_says_more(
    projector: RedisProjector, redis_url: str
) -> None:
    options = JobOptions(priority=9, attempts=3)
    request = JobRequest("job-1", "money", "payment-process", "{}", NOW, options, user_id="user-1")

    async def accept(store: StatusStore) -> None:
        await store.accepted(request, JOB_TYPES["payment-process"], "key of it")

    ask(redis_url, accept)
    found = ask(redis_url, lambda store: store.job("job-1"))
    assert found is not None
    assert (found.state, found.priority, found.max_attempts, found.user_id) == ("waiting", 9, 3, "user-1")
    assert ask(redis_url, lambda store: store.counts("money")) == {}
    projector.write(messages([job()]), [])
    assert ask(redis_url, lambda store: store.job("job-1")) == fold_records([job()])
    assert ask(redis_url, lambda store: store.counts("money")) == {"waiting": 1}


def test_a_long_request_is_shown_until_the_router_says_more(
    projector: RedisProjector, client: "redis.Redis", redis_url: str
) -> None:
    request = JobRequest("job-1", "money", "payment-process", "x" * LONG, NOW)

    async def accept(store: StatusStore) -> None:
        await store.accepted(request, JOB_TYPES["payment-process"], "key of it")

    ask(redis_url, accept)
    found = ask(redis_url, lambda store: store.job("job-1"))
    assert found is not None
    assert (found.state, found.data) == ("waiting", request.data)
    name = keys.long(PREFIX, "job-1")
    assert 0 < int(str(client.pttl(name))) <= keys.ACCEPTED_KEEP_MS
    projector.write(messages([job()]), [])
    assert client.exists(name) == 0
    assert ask(redis_url, lambda store: store.job("job-1")) == fold_records([job()])


def test_accepting_changes_nothing_about_a_known_job(projector: RedisProjector, redis_url: str) -> None:
    projector.write(messages([job(), lifecycle(job(), started(), completed())]), [])
    request = JobRequest("job-1", "money", "payment-process", "{}", NOW)

    async def accept(store: StatusStore) -> None:
        await store.accepted(request, JOB_TYPES["payment-process"], "key of it")

    ask(redis_url, accept)
    found = ask(redis_url, lambda store: store.job("job-1"))
    assert found is not None
    assert (found.state, found.data) == ("completed", job().data)


def test_an_absent_redis_is_an_absent_target_and_unavailable_to_readers(redis_url: str) -> None:
    away = RedisProjector(NOWHERE, PREFIX, TYPES, CODEC, ConsumingMetrics(CollectorRegistry()))
    with pytest.raises(TargetAwayError):
        away.write(messages([job()]), [])
    with pytest.raises(TargetAwayError):
        away.positions([(JOBS, 0)])
    with pytest.raises(UnavailableError):
        ask(NOWHERE, lambda store: store.job("job-1"))


def test_a_restarted_redis_that_forgot_the_script_gets_it_again(
    projector: RedisProjector, client: "redis.Redis"
) -> None:
    projector.write(messages([job("a")]), [])
    client.script_flush()
    assert projector.write(messages([job("b")]), []) == 1


def _now_ms() -> int:
    return int(time.time() * 1000)
