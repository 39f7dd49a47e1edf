"""What an exception means for its job."""

from decimal import Decimal

import pytest

from agents.failures import MESSAGE_KEPT, classify
from schemas.errors import ConfigError, ContractError, DecodeError, PermanentError, TransientError
from schemas.records import Failure


@pytest.mark.parametrize(
    ("error", "failure", "retry_after_s"),
    [
        (TransientError("x", code="rate_limited", retry_after_s=3), Failure("rate_limited", "x", True), 3),
        (TransientError("x"), Failure("transient", "x", True), None),
        (PermanentError("x", code="card_declined"), Failure("card_declined", "x", False), None),
        (TransientError("x", code=429, retry_after_s=Decimal(5)), Failure("429", "x", True), 5),
        (PermanentError("x"), Failure("permanent", "x", False), None),
        (ContractError.of("a", "b"), Failure("validation", "a: b", False), None),
        (DecodeError.of("", "b"), Failure("validation", "b", False), None),
        (TimeoutError(), Failure("timeout", "TimeoutError", True), None),
        (ConnectionResetError("gone"), Failure("connection", "gone", True), None),
        (ConfigError("x"), Failure("ConfigError", "x", True), None),
        (KeyError("x"), Failure("KeyError", "'x'", True), None),
    ],
)
def test_an_exception_has_one_meaning(
    error: BaseException, failure: Failure, retry_after_s: float | None
) -> None:
    assert classify(error) == (failure, retry_after_s)


def test_a_long_message_is_cut() -> None:
    assert len(classify(ValueError("x" * 10_000))[0].message) == MESSAGE_KEPT
