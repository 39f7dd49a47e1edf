"""The base of every data contract: validates a JSON text and names each field that is wrong."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from schemas.errors import ContractError, Problem

Text = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
CellId = Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,3}[1-9][0-9]{0,6}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
Minor = Annotated[int, Field(ge=1, le=1_000_000, description="Money in minor units (cents)")]


def _day(given: str) -> str:
    date.fromisoformat(given)
    return given


def _moment(given: Any) -> Any:
    """A text in ISO 8601 in UTC; pydantic would also take digits, as seconds or milliseconds."""
    if not isinstance(given, str):
        return given
    try:
        at = datetime.fromisoformat(given)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("use ISO 8601, for instance 2026-01-31T12:00:00Z") from None


Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_day)]
# One spelling of a moment, so that equal jobs get equal keys; without a zone it is UTC.
Moment = Annotated[datetime, BeforeValidator(_moment)]


class Contract(BaseModel):
    """Data of one job type. Types are strict (no "12" for 12); members it does not name are kept as given.

    In JSON its members are in camelCase only; in Python it is made with the names of its fields.
    """

    model_config = ConfigDict(extra="allow", frozen=True, alias_generator=to_camel, populate_by_name=True)

    def own_timeout_s(self) -> float | None:
        """A time limit that the data itself asks for; None: the type's."""
        return None

    def own_attempts(self) -> int | None:
        """A number of attempts that the data itself asks for; None: the type's."""
        return None

    @classmethod
    def members(cls) -> frozenset[str]:
        """The names of its members, as they stand in the JSON text."""
        return frozenset(field.alias or name for name, field in cls.model_fields.items())

    @classmethod
    def parse(cls, data: str | bytes) -> Self:
        """The typed data of a JSON text; ContractError with every problem when it does not hold."""
        try:
            # As `model_validate_json` does, without its detour.
            found: Self = cls.__pydantic_validator__.validate_json(
                data, strict=True, by_alias=True, by_name=False
            )
        except ValidationError as error:
            raise ContractError(problems_of(error, "data")) from None
        if not found.__pydantic_extra__:
            _share(found)
        return found


# pydantic gives each object a set of the names that were given and a dict for what it does not name: half of
# a small object's memory. Contracts are frozen, so nothing changes these, and equal ones can be one.
_GIVEN: dict[frozenset[str], set[str]] = {}
_NO_MEMBERS: dict[str, Any] = {}


def _share(found: Contract) -> None:
    given = found.__pydantic_fields_set__
    object.__setattr__(found, "__pydantic_fields_set__", _GIVEN.setdefault(frozenset(given), given))
    object.__setattr__(found, "__pydantic_extra__", _NO_MEMBERS)


def problems_of(error: ValidationError, root: str = "") -> list[Problem]:
    """A pydantic error as problems: `data.amount: Input should be less than or equal to 1000000`."""
    return [
        Problem(".".join(filter(None, [root, *map(str, item["loc"])])), item["msg"])
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]
