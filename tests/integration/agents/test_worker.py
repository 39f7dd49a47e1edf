"""Router and workers on a real Kafka: order, retry, delay, idempotency, dead letters, kills."""

import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.records import Backoff, JobOptions
from streams.core.outcome import MAX_INTERRUPTIONS
from tests.integration.agents.memory_rig import MemoryRig
from tests.integration.agents.rig import Rig
from tests.integration.agents.scripted_worker import INTERRUPTIONS

AnyRig = Rig | MemoryRig
SOON = Backoff(type="fixed", delay_ms=300, max_delay_ms=300, jitter=False)


@pytest.fixture(scope="module", params=["kafka", "memory"])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnyRig]:
    """Every case holds on the real thing and on the in-memory runner alike."""
    made = a_rig(request, tmp_path_factory.mktemp("rig"))
    made.router()
    made.worker("a")
    yield made
    made.stop()


def a_rig(request: pytest.FixtureRequest, folder: Path) -> AnyRig:
    if request.param == "memory":
        return MemoryRig(folder)
    return Rig(request.getfixturevalue("kafka_bootstrap"), folder)


def test_a_job_goes_from_waiting_over_active_to_completed(rig: AnyRig) -> None:
    job = rig.chat("simple", 1)
    rig.flush()
    rig.wait(lambda: rig.ends(job) == ["completed"])
    assert rig.moves(job) == ["active", "completed"]


def test_a_failed_job_keeps_the_later_ones_of_its_key_behind_it(rig: AnyRig) -> None:
    options = JobOptions(attempts=5, backoff=SOON)
    jobs = [rig.chat("ordered", seq, options, fail=2 if seq == 1 else 0) for seq in range(5)]
    other = rig.chat("unrelated", 1)
    rig.flush()
    rig.wait(lambda: all(rig.ends(job) for job in [*jobs, other]))
    assert [rig.ends(job) for job in jobs] == [["completed"]] * 5
    order = [(seq, attempt) for _, key, seq, attempt in rig.executions() if key == "ordered"]
    assert order == [(0, 1), (1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (4, 1)]
    assert rig.moves(jobs[1]) == ["active", "failed", "delayed"] * 2 + ["active", "completed"]


def test_attempts_used_up_make_one_dead_letter_with_every_error(rig: AnyRig) -> None:
    job = rig.chat("doomed", 1, JobOptions(attempts=2, backoff=SOON), fail=9)
    after = rig.chat("doomed", 2)
    rig.flush()
    rig.wait(lambda: rig.ends(job) == ["dead"] and rig.ends(after) == ["completed"])
    rig.wait(lambda: any(letter.job_id == job for letter in rig.letters))
    letter = next(letter for letter in rig.letters if letter.job_id == job)
    assert [(error.attempt, error.error_class) for error in letter.errors] == [
        (1, "scripted"),
        (2, "scripted"),
    ]
    assert letter.type == "chat-message"
    assert letter.value is not None


def test_a_refused_job_is_dead_after_one_attempt(rig: AnyRig) -> None:
    job = rig.chat("refused", 1, refuse=True)
    rig.flush()
    rig.wait(lambda: rig.ends(job) == ["dead"])
    assert sum(1 for executed, *_ in rig.executions() if executed == job) == 1


def test_a_delayed_job_waits_without_stopping_its_key(rig: AnyRig) -> None:
    sent = rig.now_s
    # Longer than its way to the worker takes: there it is to be early.
    late = rig.chat("patient", 1, JobOptions(delay_ms=8_000))
    prompt = rig.chat("patient", 2)
    rig.flush()
    rig.wait(lambda: rig.ends(prompt) == ["completed"])
    rig.wait(lambda: rig.moves(late)[:1] == ["delayed"])
    rig.wait(lambda: rig.ends(late) == ["completed"])
    started = next(t.at for h in rig.histories[late] for t in h.transitions if t.to_state == "active")
    assert started >= int(sent * 1000) + 8_000  # records know whole milliseconds


def test_concurrent_jobs_of_one_idempotency_key_have_one_effect(rig: AnyRig) -> None:
    data = {"to": "a@example.com", "template": "t", "script": {"sleep": 0.3}}
    jobs = [rig.send("send-email", data) for _ in range(8)]
    rig.flush()
    rig.wait(lambda: all(rig.ends(job) for job in jobs))
    ends = [rig.ends(job) for job in jobs]
    assert sorted(ends) == [["completed"]] + [["duplicate"]] * 7
    winner = jobs[ends.index(["completed"])]
    answers = [t.duplicate_of for j in jobs for h in rig.histories[j] for t in h.transitions]
    assert {answer for answer in answers if answer} == {winner}
    assert sum(1 for executed, *_ in rig.executions() if executed in jobs) == 1


def test_the_same_key_with_other_data_is_a_dead_letter(rig: AnyRig) -> None:
    options = JobOptions(idempotency_key="one-key")
    first = rig.send("send-email", {"to": "b@example.com", "template": "t"}, options)
    rig.flush()
    rig.wait(lambda: rig.ends(first) == ["completed"])
    second = rig.send("send-email", {"to": "c@example.com", "template": "t"}, options)
    rig.flush()
    rig.wait(lambda: rig.ends(second) == ["dead"])
    rig.wait(lambda: any(letter.job_id == second for letter in rig.letters))
    assert next(le for le in rig.letters if le.job_id == second).error_class == "idempotency_conflict"


def test_a_job_that_kills_its_worker_again_and_again_is_a_dead_letter(rig: AnyRig) -> None:
    often = INTERRUPTIONS if isinstance(rig, Rig) else MAX_INTERRUPTIONS
    data = {"to": "killer@example.com", "template": "t", "script": {"exit": True}}
    job = rig.send("send-email", data)
    rig.flush()

    def restarted_until_dead() -> bool:
        if rig.has_ended("a"):
            rig.worker("a")
        return rig.ends(job) == ["dead"]

    rig.wait(restarted_until_dead, 180)
    rig.wait(lambda: any(letter.job_id == job for letter in rig.letters))
    assert next(le for le in rig.letters if le.job_id == job).error_class == "interrupted"
    assert sum(1 for executed, *_ in rig.executions() if executed == job) == often


@pytest.fixture(params=["kafka", "memory"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> AnyRig:
    """A rig of its own."""
    return a_rig(request, tmp_path)


@pytest.mark.parametrize("seed", [1, 2])
def test_under_kills_every_job_ends_once_and_in_the_order_of_its_key(fresh: AnyRig, seed: int) -> None:
    rng, rig = random.Random(seed), fresh
    rig.router()
    rig.worker("a")
    rig.worker("b")
    sent: dict[str, list[str]] = defaultdict(list)
    options = JobOptions(attempts=10, backoff=SOON)
    try:
        for seq in range(800):
            key = f"k{rng.randrange(40)}"
            fail = rng.choice([0] * 9 + [1])
            sent[key].append(rig.chat(key, seq, options, fail=fail, sleep=rng.choice([0, 0, 0.02, 0.2])))
            if seq % 200 == 199:
                rig.flush()
                name = rng.choice(["a", "b", "router"])
                rig.wait(lambda: len(rig.executions()) > 0)
                rig.kill(name)
                rig.router() if name == "router" else rig.worker(name)
        jobs = [job for order in sent.values() for job in order]
        rig.wait(lambda: all(rig.ends(job) for job in jobs), 240)
        rig.read()
        assert {job: rig.ends(job) for job in jobs} == {job: ["completed"] for job in jobs}
        for order in sent.values():
            assert sorted(order, key=lambda job: _completed(rig, job)) == order
    finally:
        rig.stop()


def _completed(rig: AnyRig, job: str) -> int:
    return next(t.at for h in rig.histories[job] for t in h.transitions if t.to_state == "completed")
