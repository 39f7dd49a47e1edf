"""What is known of a job whose worker died while it ran."""

import pytest

from schemas.records import IdempotencyEntry
from schemas.states import State
from streams.core.attempt import answer
from streams.core.backoff import Dead
from streams.core.entry import Entry
from streams.core.outcome import Duplicate
from tests.unit.streams.core.builders import NOW, an_entry


def interrupted(kind: str, times: int = 1, state: State = State.ACTIVE) -> Entry:
    entry = an_entry(type=kind, idempotency=b"key")
    entry.interruptions, entry.state = times, state
    return entry


def test_an_effect_that_may_have_happened_waits_for_a_person() -> None:
    result = answer(interrupted("nft-mint"), None, NOW)
    assert isinstance(result, Dead)
    assert (result.failure.error_class, result.failure.retryable) == ("unknown_outcome", False)
    assert "attempt 1 was interrupted" in result.failure.message


@pytest.mark.parametrize("kind", ["payment-process", "send-email", "coding-task", "chat-message"])
def test_where_the_provider_deduplicates_or_a_second_one_does_little_harm_it_runs_again(kind: str) -> None:
    assert answer(interrupted(kind), None, NOW) is None


def test_one_that_was_never_checked_in_runs() -> None:
    assert answer(interrupted("nft-mint", 0, State.WAITING), None, NOW) is None


def test_one_that_waits_for_its_retry_since_then_runs() -> None:
    """Its last attempt ended with an outcome."""
    assert answer(interrupted("nft-mint", 1, State.DELAYED), None, NOW) is None


def test_one_whose_effect_is_known_is_answered() -> None:
    known = IdempotencyEntry("first", b"hash", State.COMPLETED, NOW + 1, "r")
    assert answer(interrupted("nft-mint"), known, NOW) == Duplicate("first", "r")
