import pytest

from ops.report.history import History, Stretch, quantile
from schemas.records import Failure, Lifecycle, Transition
from tests.unit.connectors.postgres.builders import job

START = 1_700_000_000_000
STRETCH = Stretch(START, START + 100_000, steps=10)


def lifecycle(*transitions: Transition, job_id: str = "job-1", accepted_at: int = START) -> Lifecycle:
    return Lifecycle(job_id, 0, "money", "payment-process", 1, "w", list(transitions), accepted_at)


def active(at: int, number: int = 1, attempt: int = 1, old: str = "waiting") -> Transition:
    return Transition(number, old, "active", attempt, START + at)


def to(state: str, at: int, number: int = 2, error: str | None = None) -> Transition:
    failure = None if error is None else Failure(error, "it failed", retryable=True)
    return Transition(number, "active", state, 1, START + at, error=failure)


def test_a_time_falls_into_its_step_and_outside_into_none() -> None:
    asked = (START - 1, START, START + 9_999, START + 10_000, START + 99_999, START + 100_000)
    assert [STRETCH.step(at) for at in asked] == [None, 0, 0, 1, 9, None]


def test_jobs_are_counted_by_queue_when_they_were_accepted() -> None:
    history = History(STRETCH)
    for at in (START, START + 1, START + 15_000, START - 1):
        history.job(job(at=at))
    assert history.rate(history.accepted["money"])[:3] == [0.2, 0.1, 0.0]


def test_wait_and_run_are_measured_from_the_transitions() -> None:
    history = History(STRETCH)
    history.lifecycle(lifecycle(active(2_000), to("completed", 5_000)))
    assert (history.waits_s[0], history.runs_s[0]) == ([2.0], [3.0])
    assert history.ended["money"][0] == 1


def test_a_start_that_stands_in_another_record_than_the_end_is_found() -> None:
    history = History(STRETCH)
    history.lifecycle(lifecycle(active(2_000)))
    history.lifecycle(lifecycle(to("completed", 25_000), job_id="other"))
    history.lifecycle(lifecycle(to("completed", 25_000)))
    assert history.runs_s[2] == [23.0]


def test_only_the_first_start_is_a_wait() -> None:
    history = History(STRETCH)
    history.lifecycle(lifecycle(active(1_000), to("failed", 2_000), active(9_000, 4, 2, "delayed")))
    assert history.waits_s[0] == [1.0]


def test_failures_are_counted_by_type_and_error_and_only_ends_end_a_job() -> None:
    history = History(STRETCH)
    history.lifecycle(lifecycle(active(0), to("failed", 1_000, error="timeout")))
    history.lifecycle(lifecycle(active(2_000, 4, 2), to("dead", 3_000, 5, error="timeout")))
    assert history.errors == {("payment-process", "timeout"): 2}
    assert (history.states["failed"][0], history.states["dead"][0], history.ended["money"][0]) == (1, 1, 1)


def test_open_jobs_are_counted_back_from_how_many_there_are_now() -> None:
    history = History(STRETCH)
    for at in (5_000, 5_000, 55_000):
        history.job(job(at=START + at))
    history.lifecycle(lifecycle(to("completed", 75_000)))
    assert history.open_jobs("money", now=12) == [12, 12, 12, 12, 12, 13, 13, 12, 12, 12]


def test_a_step_without_a_measurement_has_no_percentile() -> None:
    history = History(STRETCH)
    history.lifecycle(lifecycle(active(15_000), to("completed", 16_000)))
    assert history.quantile(history.runs_s, 0.5)[:3] == [None, 1.0, None]


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.95, 10), (0.99, 10), (0.1, 1)])
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    assert quantile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], share) == expected
    assert quantile([7.0], share) == 7.0
