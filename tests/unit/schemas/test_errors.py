"""An error of the input says everything that is wrong at once."""

from schemas.errors import ContractError, Problem, TransientError, UnavailableError, UnknownTypeError


def test_a_contract_error_names_every_problem() -> None:
    error = ContractError([Problem("data.amount", "too large"), Problem("", "not an object")])
    assert str(error) == "data.amount: too large; not an object"


def test_one_problem_makes_an_error_of_the_class_it_was_asked_of() -> None:
    error = UnknownTypeError.of("queue", "unknown")
    assert isinstance(error, UnknownTypeError)
    assert error.problems == [Problem("queue", "unknown")]


def test_errors_carry_when_to_come_again() -> None:
    assert TransientError("slow", code="rate_limited", retry_after_s=3).retry_after_s == 3
    assert TransientError("slow").retry_after_s is None
    assert UnavailableError("away").retry_after_s == 5
