"""A provider's limit on a real Kafka: workers and the limiter are killed, and the provider counts."""

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from connectors.kafka.limit_rows import LimitRows
from schemas.records import Backoff, JobOptions, LimitRequest, RateLimit
from tests.integration.agents.recording_provider import RecordingProvider
from tests.integration.agents.rig import Rig
from tests.integration.agents.scripted_worker import RETRY_AFTER_S
from tests.integration.agents.short_circuit import SHORT_S
from tests.integration.connectors.sinking import await_true

PER_SECOND, CONCURRENT, BURST, TAKES_S = 20, 6, 30, 0.2
LIMIT = {"RATE_LIMIT_SENDGRID": f"per_second={PER_SECOND},concurrent={CONCURRENT},burst={BURST}"}
SOON = JobOptions(attempts=5, backoff=Backoff(type="fixed", delay_ms=100, max_delay_ms=100, jitter=False))

UNUSED = RateLimit("sendgrid", 0, 0, 0)
# A stop: the promise, how often it is tried at least and at most, and when also a machine that is busy with
# other things has used or dropped what was granted before.
WITHIN_S, LEAST_TRIES, MOST_TRIES, SETTLED_S = 1.0, 3, 10, 5.0
# More than could start until then.
LEFT = 150


class Limited(Rig):
    """A rig whose circuits are open for a short time."""

    def limiter(self) -> None:
        self._start("limiter", "tests.integration.agents.short_circuit")

    def told(self, *words: str) -> int:
        """How often the limiter has said all of this in one line."""
        lines = (self.folder / "limiter.log").read_text().splitlines()
        return sum(all(word in line for word in words) for line in lines)

    def order(self, what: str) -> None:
        """An operator's word to the limiter; returns when it was acknowledged."""
        request = LimitRequest("sendgrid", order=what, by="test")
        self._producer.produce(self.topology.limit_requests, self.codec.encode(request), b"sendgrid")
        self.flush()


@pytest.fixture
def provider() -> Iterator[RecordingProvider]:
    made = RecordingProvider(TAKES_S)
    yield made
    made.close()


@pytest.fixture(scope="module")
def rig(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limited]:
    made = Limited(kafka_bootstrap, tmp_path_factory.mktemp("limits"), LIMIT)
    made.router()
    for name in ("a", "b", "c"):
        made.worker(name)
    yield made
    made.stop()


def mails(rig: Limited, provider: RecordingProvider, name: str, count: int) -> list[str]:
    """Jobs of the limited group."""
    sent = [
        rig.send(
            "send-email",
            {"to": f"{name}{n}@example.com", "template": "t", "script": {"call": provider.address}},
            SOON,
        )
        for n in range(count)
    ]
    rig.flush()
    return sent


def completed(rig: Limited, jobs: list[str]) -> bool:
    return all(rig.ends(job) == ["completed"] for job in jobs)


def test_the_limit_holds_while_workers_and_the_limiter_are_killed(
    rig: Limited, provider: RecordingProvider
) -> None:
    jobs = mails(rig, provider, "kill", 160)
    for victim, calls in (("a", 30), ("limiter", 60), ("b", 100)):
        rig.wait(lambda calls=calls: len(provider.began) >= calls)  # type: ignore[misc]
        rig.kill(victim)
        rig.limiter() if victim == "limiter" else rig.worker(victim)
    rig.wait(lambda: completed(rig, jobs))
    assert len(provider.began) >= 160
    assert provider.excess(PER_SECOND, BURST) <= 0
    assert provider.most_at_once() <= CONCURRENT


def test_a_stop_holds_within_a_second_on_every_worker_and_as_often_as_it_is_ordered(
    rig: Limited, provider: RecordingProvider
) -> None:
    jobs: list[str] = []
    took_s: list[float] = []
    # The machine may be busy with other things, but not each time.
    while len(took_s) < LEAST_TRIES or (min(took_s) > WITHIN_S and len(took_s) < MOST_TRIES):
        seen = len(provider.began)
        jobs += mails(rig, provider, f"try{len(took_s)}-", LEFT + seen - len(jobs))
        rig.wait(lambda seen=seen: len(provider.began) >= seen + 10)  # type: ignore[misc]
        # In the flow: right after a call.
        seen = len(provider.began)
        await_true(lambda seen=seen: len(provider.began) > seen, "the next call")  # type: ignore[misc]
        took_s.append(stopped(rig, provider))
        assert len(provider.began) < len(jobs), "there was something to stop"
        rig.order("resume")
    rig.wait(lambda: completed(rig, jobs))
    assert {record.worker for job in jobs for record in rig.histories[job]} >= {"a", "b", "c"}
    assert min(took_s) <= WITHIN_S, took_s


def stopped(rig: Limited, provider: RecordingProvider) -> float:
    """Seconds from a stop's order to the last call that started; none does once it is settled."""
    before = rig.told("limits ordered", "stop")
    ordered_at = time.monotonic()
    rig.order("stop")
    rig.wait(lambda: rig.told("limits ordered", "stop") > before)
    settled_at = time.monotonic() + SETTLED_S
    rig.wait(lambda: time.monotonic() > settled_at + WITHIN_S)
    last = max(provider.began)
    assert last <= settled_at, f"{last - ordered_at:.1f} s after the order"
    return last - ordered_at


def test_a_stop_holds_everywhere_and_outlives_the_limiter_and_others_run_on(
    rig: Limited, provider: RecordingProvider
) -> None:
    early = mails(rig, provider, "early", 40)
    rig.wait(lambda: len(provider.began) >= 10)
    stopped(rig, provider)
    calls = len(provider.began)
    late = mails(rig, provider, "late", 20)
    talk = [rig.chat(f"while-{n}", n) for n in range(20)]
    rig.flush()
    rig.wait(lambda: completed(rig, talk))
    before = rig.told("limits taken over", "sendgrid")
    rig.kill("limiter")
    rig.limiter()
    rig.wait(lambda: rig.told("limits taken over", "sendgrid") > before)
    asked = time.monotonic() + 3
    rig.wait(lambda: time.monotonic() > asked)
    assert len(provider.began) == calls
    assert not any(rig.moves(job) for job in late)
    rig.order("resume")
    rig.wait(lambda: completed(rig, early + late))


def test_after_a_429_the_group_stays_closed_as_long_as_the_provider_asked(
    rig: Limited, provider: RecordingProvider
) -> None:
    answers = iter([429])
    provider.answer = lambda: next(answers, 200)
    jobs = mails(rig, provider, "pause", 100)
    rig.wait(lambda: completed(rig, jobs))
    # Less what was granted before.
    assert max(pauses(provider)) > RETRY_AFTER_S / 2


async def test_a_provider_that_fails_is_left_alone_also_by_the_next_limiter_and_no_attempt_is_used_up(
    rig: Limited, provider: RecordingProvider
) -> None:
    failing = True
    provider.answer = lambda: 503 if failing else 200
    jobs = mails(rig, provider, "open", 40)
    rows = LimitRows(rig.kafka, rig.topology, rig.codec)
    rows.start()
    try:
        # With time left in which the next limiter could be wrong.
        rig.wait(lambda: rows.rows.get("sendgrid", UNUSED).open_until / 1000 > time.time() + SHORT_S / 2)
    finally:
        await rows.close()
    opened, due = time.monotonic(), rows.rows["sendgrid"].open_until / 1000
    rig.kill("limiter")
    rig.limiter()
    failing = False
    rig.wait(lambda: completed(rig, jobs))
    # What was granted before could still be used, for half a second; a busy machine starts it later.
    after = [place for place, at in enumerate(sorted(provider.began)) if at > opened + SHORT_S / 3]
    probe, following = (sorted(provider.began)[place] for place in after[:2])
    assert probe - time.monotonic() + time.time() >= due
    assert following >= sorted(provider.ended)[after[0]], "one probe"
    attempts = [move.attempt for job in jobs for record in rig.histories[job] for move in record.transitions]
    assert max(attempts) <= 3


def pauses(provider: RecordingProvider) -> list[float]:
    """The time from each call to the next."""
    return [later - earlier for earlier, later in pairwise(sorted(provider.began))]
