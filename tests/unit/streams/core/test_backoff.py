"""When a failed attempt is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Failure
from streams.core.backoff import MAX_RETRY_AFTER_S, Dead, Retry, after_failure, delay_ms
from tests.unit.streams.core.builders import NOW, a_job

FAILURE = Failure("timeout", "too slow", retryable=True)


def never() -> float:
    raise AssertionError("no random number is drawn without jitter")


@pytest.mark.parametrize(
    ("kind", "pauses"),
    [
        ("fixed", [1_000] * 5),
        ("linear", [1_000, 2_000, 3_000, 4_000, 5_000]),
        ("exponential", [1_000, 2_000, 4_000, 8_000, 10_000]),
    ],
)
def test_a_pause_grows_as_its_kind_says_up_to_the_cap(kind: str, pauses: list[int]) -> None:
    job = a_job(backoff=kind, backoff_max_ms=10_000)
    assert [delay_ms(job, attempt, never) for attempt in range(1, 6)] == pauses


@given(
    st.sampled_from(["fixed", "linear", "exponential"]), st.integers(1, 10), st.floats(0, 1, exclude_max=True)
)
def test_jitter_draws_between_nothing_and_the_full_pause(kind: str, attempt: int, drawn: float) -> None:
    job = a_job(backoff=kind)
    jittered = a_job(backoff=kind, backoff_jitter=True)
    full = delay_ms(job, attempt, never)
    assert 0 <= delay_ms(jittered, attempt, lambda: drawn) <= full <= job.backoff_max_ms
    assert delay_ms(jittered, attempt, lambda: 0.5) == round(full / 2)


def test_a_failed_attempt_is_tried_again_after_its_pause() -> None:
    assert after_failure(a_job(), 1, FAILURE, NOW, never) == Retry(NOW + 1_000, FAILURE)


@pytest.mark.parametrize("asked_s", [0.0, 0.25, 7.0])
def test_what_the_provider_asks_for_wins_over_the_backoff(asked_s: float) -> None:
    assert after_failure(a_job(), 1, FAILURE, NOW, never, asked_s) == Retry(
        NOW + round(asked_s * 1000), FAILURE
    )


@pytest.mark.parametrize("asked_s", [-5.0, float("nan"), float("-inf")])
def test_a_provider_that_asks_for_nonsense_is_asked_again_at_once(asked_s: float) -> None:
    assert after_failure(a_job(), 1, FAILURE, NOW, never, asked_s) == Retry(NOW, FAILURE)


@pytest.mark.parametrize("asked_s", [1e12, float("inf")])
def test_a_provider_that_asks_for_years_gets_thirty_days(asked_s: float) -> None:
    due = NOW + round(MAX_RETRY_AFTER_S * 1000)
    assert after_failure(a_job(), 1, FAILURE, NOW, never, asked_s) == Retry(due, FAILURE)


def test_the_last_attempt_is_the_last() -> None:
    job = a_job(attempts=3)
    assert isinstance(after_failure(job, 2, FAILURE, NOW, never), Retry)
    assert after_failure(job, 3, FAILURE, NOW, never, 5.0) == Dead(FAILURE)


def test_what_cannot_help_is_not_tried_again() -> None:
    refused = Failure("card_declined", "no", retryable=False)
    assert after_failure(a_job(), 1, refused, NOW, never, 5.0) == Dead(refused)
