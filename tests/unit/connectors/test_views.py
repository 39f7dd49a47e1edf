import random

from hypothesis import given
from hypothesis import strategies as st

from connectors.views import fold_records, rank
from schemas.records import Transition
from schemas.states import TERMINAL, State
from tests.unit.connectors.postgres.builders import (
    NOW,
    completed,
    delayed,
    failed,
    history,
    job,
    lifecycle,
    shuffled,
    started,
)


def test_a_job_alone_is_waiting() -> None:
    view = fold_records([job()])
    assert (view.state, view.attempts, view.accepted_at) == ("waiting", 0, NOW)
    assert [change.number for change in view.timeline] == [0]


def test_a_completed_job_has_its_times_attempts_and_result() -> None:
    view = fold_records([job(), lifecycle(job(), started(), completed())])
    assert (view.state, view.attempts, view.max_attempts) == ("completed", 1, 10)
    assert (view.processed_at, view.finished_at) == (NOW + 5, NOW + 30)
    assert view.result == '{"success": true}'


def test_transitions_without_their_envelope_give_a_state_without_data() -> None:
    view = fold_records([lifecycle(job(), started())])
    assert (view.state, view.data, view.priority, view.tenant_id) == ("active", None, None, "venue-1")


def test_a_job_that_waits_for_its_retry_shows_why_the_last_attempt_failed() -> None:
    view = fold_records([job(), lifecycle(job(), started(), failed(2, 1, NOW + 9), delayed(3, 1, NOW + 9))])
    assert view.state == "delayed"
    assert view.error is not None
    assert view.error.error_class == "timeout"


def test_the_error_of_an_earlier_attempt_goes_when_the_job_completes() -> None:
    changes = (
        started(),
        failed(2, 1, NOW + 9),
        delayed(3, 1, NOW + 9),
        started(4, 2, NOW + 20, "delayed"),
        completed(5, 2),
    )
    view = fold_records([job(), lifecycle(job(), *changes)])
    assert (view.state, view.error, view.attempts, view.processed_at) == ("completed", None, 2, NOW + 20)


def test_progress_does_not_move_the_start_of_an_attempt() -> None:
    told = Transition(2, "active", "active", 1, NOW + 20, progress=40, stage="half")
    view = fold_records([job(), lifecycle(job(), started(), told)])
    assert (view.processed_at, view.progress, view.stage) == (NOW + 5, 40, "half")


def test_nothing_follows_a_terminal_state_within_a_series() -> None:
    late = Transition(3, "active", "active", 2, NOW + 40)
    assert fold_records([job(), lifecycle(job(), started(), completed(), late)]).state == "completed"


def test_a_new_series_opens_a_job_again() -> None:
    again = job(series=1, at=NOW + 1_000, data='{"amount": 2}')
    view = fold_records([again, job(), lifecycle(job(), started(), completed())])
    assert (view.series, view.state, view.data, view.attempts) == (1, "waiting", '{"amount": 2}', 0)
    assert view.accepted_at == NOW
    assert len(view.timeline) == 4


def test_the_first_record_of_a_number_counts() -> None:
    other = Transition(1, "waiting", "cancelled", 0, NOW + 99)
    view = fold_records([job(), lifecycle(job(), started()), lifecycle(job(), other)])
    assert view.state == "active"


@given(st.integers(0, 2**32))
def test_any_order_and_any_repeats_give_the_same_view(seed: int) -> None:
    chance = random.Random(seed)
    records = history(job(), chance)
    if chance.random() < 0.3:
        records += history(job(series=1, at=NOW + 5_000), chance)
    assert fold_records(shuffled(records, chance)) == fold_records(records)


@given(
    st.tuples(st.integers(0, 1000), st.integers(0, 10**6), st.sampled_from(State)),
    st.tuples(st.integers(0, 1000), st.integers(0, 10**6), st.sampled_from(State)),
)
def test_rank_orders_by_series_then_end_then_number(
    one: tuple[int, int, State], other: tuple[int, int, State]
) -> None:
    def order(place: tuple[int, int, State]) -> tuple[int, bool, int]:
        series, number, state = place
        return series, state in TERMINAL, -number if state in TERMINAL else number

    assert (rank(*one) < rank(*other)) == (order(one) < order(other))
    assert rank(*one) < 2**53
