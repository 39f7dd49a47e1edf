"""Carrying out a run: its order, its pace, services that are away, and a process that dies in the middle."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from connectors.kafka.producer import Outgoing
from connectors.postgres.letter_filter import LetterFilter
from connectors.postgres.redrives import Sent
from connectors.redrive.canary import Plan, Tally
from connectors.redrive.edit import Edit
from connectors.redrive.runner import Runner, outcome_of
from connectors.views import JobView
from schemas.errors import UnavailableError
from schemas.records import Failure, JobRequest
from streams.topics import Topology
from tests.unit.connectors.gateway.fakes import CODEC, view
from tests.unit.connectors.gateway.test_failed import died
from tests.unit.connectors.redrive.memory import MemoryLetters

WHOLE = Plan((100,))


class Died(Exception):
    """The process ends here."""


@dataclass
class Rig:
    """A runner on memory, whose clock moves only when it sleeps."""

    store: MemoryLetters
    now: float = 0.0
    sent: list[str] = field(default_factory=list)
    away: int = 0
    ends: str = "completed"

    def runner(self, holder: str = "p1") -> Runner:
        return Runner(
            self.store,
            self.send,
            self.find,
            Topology("t.", 4, 1, 1),
            CODEC,
            holder,
            lambda: self.now,
            self.sleep,
        )

    async def send(self, record: Outgoing) -> None:
        if self.away:
            self.away -= 1
            raise UnavailableError("Kafka does not answer")
        self.sent.append(CODEC.decode(JobRequest, record.value).job_id)

    async def find(self, job_id: str) -> JobView | None:
        return view(job_id, series=1, state=self.ends) if job_id in self.sent else None

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def rig(count: int, plan: Plan = WHOLE) -> Rig:
    store = MemoryLetters([died(number, at=1_000 + number) for number in range(count)])
    await store.create("r", LetterFilter(), None, Edit(), plan, by="ada", holder="p1")
    return Rig(store)


async def test_letters_are_sent_in_the_order_in_which_they_failed() -> None:
    made = await rig(250)
    await made.runner().work("r")
    assert made.sent == [f"job-{number}" for number in range(250)]
    assert made.store.known["r"].state == "done"


async def test_no_more_than_the_rate_is_sent() -> None:
    made = await rig(100, Plan((100,), rate=10))
    await made.runner().work("r")
    assert made.now >= 9


async def test_kafka_away_is_waited_for_and_nothing_is_left_out() -> None:
    made = await rig(30)
    made.away = 45
    await made.runner().work("r")
    assert sorted(set(made.sent)) == sorted(f"job-{number}" for number in range(30))
    assert made.store.known["r"].state == "done"


async def test_what_was_sent_and_not_noted_is_sent_again_as_the_same_series() -> None:
    made = await rig(3)
    noted = made.store.sent

    async def dies(run_id: str, letters: Sequence[Sent]) -> None:
        raise Died

    made.store.sent = dies  # type: ignore[method-assign]
    with pytest.raises(Died):
        await made.runner().work("r")
    made.store.sent, made.store.lost_leases = noted, True  # type: ignore[method-assign]
    await made.runner("p2").work("r")
    assert made.sent == ["job-0", "job-1", "job-2"] * 2
    assert {one.series for one in made.store.chosen.values()} == {1}


async def test_a_run_that_another_process_holds_is_left_alone() -> None:
    made = await rig(3)
    await made.runner("p2").work("r")
    assert made.sent == []


async def test_a_canary_that_nobody_can_judge_stops() -> None:
    made = await rig(200, Plan((1, 100), patience_s=30))
    made.ends = "active"
    await made.runner().work("r")
    run = made.store.known["r"]
    assert (run.state, len(made.sent)) == ("stopped", 2)
    assert "undecided" in (run.reason or "")
    assert made.now >= 30


async def test_failures_in_the_middle_of_the_last_stage_stop_it() -> None:
    made = await rig(1_000, Plan((1, 100), rate=50))

    async def find(job_id: str) -> JobView | None:
        late = int(job_id.split("-")[1]) >= 10
        return view(job_id, series=1, state="dead" if late else "completed") if job_id in made.sent else None

    made.find = find  # type: ignore[method-assign]
    await made.runner().work("r")
    assert made.store.known["r"].state == "stopped"
    assert 10 < len(made.sent) < 300


async def test_progress_is_told() -> None:
    made, told = await rig(150), list[Tally]()
    await made.runner().work("r", told.append)
    assert told[0].sent == 100
    assert told[-1] == Tally(150, sent=150, completed=150)


def test_what_became_of_a_series() -> None:
    failure = Failure("timeout", "slow", True)
    assert outcome_of(view("j", series=0, state="dead"), 1) is None
    assert outcome_of(view("j", series=1, state="active"), 1) is None
    assert outcome_of(view("j", series=1, state="delayed", error=failure), 1) == "failing"
    assert outcome_of(view("j", series=1, state="dead"), 1) == "failing"
    assert outcome_of(view("j", series=2, state="completed"), 1) == "failing"
    assert outcome_of(view("j", series=1, state="duplicate"), 1) == "completed"
