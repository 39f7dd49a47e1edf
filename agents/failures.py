"""What an exception means for its job: the one place that classifies."""

from schemas.errors import ContractError, JobError, PermanentError, TransientError
from schemas.records import Failure

MESSAGE_KEPT = 2_000


def is_of_the_job(error: BaseException) -> bool:
    """Whether the error says what became of the attempt; any other may have come after its effect."""
    return isinstance(error, JobError | ContractError)


def classify(error: BaseException) -> tuple[Failure, float | None]:
    """The failure, and the pause that a provider asked for in seconds. Never raises.

    Data that breaks its contract and what a handler calls permanent is not retried; time-outs, lost
    connections and everything unknown are.
    """
    try:
        return _classified(error)
    except Exception as second:  # its text, its code or its pause is none: the attempt must end all the same
        text = f"an error that cannot be told: {type(second).__name__}"
        return Failure(type(error).__name__, text, retryable=True), None


def _classified(error: BaseException) -> tuple[Failure, float | None]:
    text = str(error)[:MESSAGE_KEPT] or type(error).__name__
    match error:
        case TransientError():
            return Failure(error.code or "transient", text, retryable=True), error.retry_after_s
        case PermanentError():
            return Failure(error.code or "permanent", text, retryable=False), None
        case ContractError():
            return Failure("validation", text, retryable=False), None
        case TimeoutError():
            return Failure("timeout", text, retryable=True), None
        case OSError():
            return Failure("connection", text, retryable=True), None
    return Failure(type(error).__name__, text, retryable=True), None
