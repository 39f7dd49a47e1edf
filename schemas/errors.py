"""Every error of Tierflow, one tree.

TierflowError
├── ConfigError          a setting is wrong or missing; the process does not start
├── ContractError        input that breaks its contract; never retried
│   └── DecodeError      bytes that are no record of the expected schema
├── JobError             what a handler may raise on purpose
│   ├── TransientError   worth another attempt, not before `retry_after_s` if that is given
│   ├── PermanentError   another attempt cannot help: straight to the dead letters
│   └── StoppedError     the handler stopped because it was asked to
└── UnavailableError     a service that is needed to accept work is away
"""

from dataclasses import dataclass
from typing import SupportsFloat


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the input: which field, and what to do about it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class TierflowError(Exception):
    """The root of every error raised on purpose."""


class ConfigError(TierflowError):
    """Settings that do not hold; the text names each of them and its fix."""


class ContractError(TierflowError):
    """Input that breaks its contract, with all its problems at once."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems

    @classmethod
    def of(cls, field: str, message: str) -> "ContractError":
        """One problem."""
        return cls([Problem(field, message)])


class DecodeError(ContractError):
    """Bytes that do not decode with the schema they claim or need."""


class UnknownTypeError(ContractError):
    """A queue or job type that the catalogue does not have."""


class JobError(TierflowError):
    """A job's attempt failed for a reason that its handler understands."""

    def __init__(self, message: str, *, code: object = "") -> None:
        super().__init__(message)
        # Job authors give what their clients give: an HTTP status, a Decimal.
        self.code = str(code)


class TransientError(JobError):
    """Another attempt may succeed: time-outs, lost connections, 429 and 5xx of a provider."""

    def __init__(
        self, message: str, *, code: object = "", retry_after_s: SupportsFloat | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = None if retry_after_s is None else float(retry_after_s)


class PermanentError(JobError):
    """No attempt can succeed: refused by the provider, wrong data."""


class StoppedError(JobError):
    """The attempt ended because `ctx.cancelled` was set: no failure of the job."""


class UnavailableError(TierflowError):
    """A service needed for accepting work does not answer."""

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
