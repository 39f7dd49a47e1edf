"""The rules of `validation`: what each type takes, and what it says of a cell's value.

| type | parameters | a value is valid when |
| --- | --- | --- |
| required | | it is not empty |
| type | type: number, integer, text (string), boolean, date | it is of that type |
| range | min, max | it is a number between them |
| length | min, max | its text has so many characters |
| regex | pattern | the pattern is found in its text (linear time: no look-around, no back references) |
| enum | values | it is one of them |
| unique | | no other of the job's cells has it |
| date | min, max | it is an ISO 8601 date or time between them |
| email | | it is an address |
| cross-cell | formula | the formula gives TRUE; `{cell}` in it stands for the cell that is checked |

An empty cell satisfies every rule but `required` and `cross-cell`; an error such as `#DIV/0!` satisfies none.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from email_validator import EmailNotValidError, validate_email
from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from agents.spreadsheet.cells import Value, is_error
from schemas.errors import ContractError
from schemas.payloads.robot import Rule

# A value's fault, or None.
Check = Callable[[Value], str | None]


def check_of(rule: Rule, field: str, values: Mapping[str, Value]) -> Check:
    """What the rule says of one value. ContractError naming the parameter that does not hold."""
    make = _MAKERS[rule.type]
    check = make(_Parameters(rule.parameters, field), values)
    return lambda value: _unless_error(value, check) if rule.type == "required" else _filled(value, check)


def _unless_error(value: Value, check: Check) -> str | None:
    return f"shows {value}" if is_error(value) else check(value)


def _filled(value: Value, check: Check) -> str | None:
    return None if value is None or value == "" else _unless_error(value, check)


class _Parameters:
    """A rule's parameters, each asked for by its type."""

    def __init__(self, given: Mapping[str, Any], field: str) -> None:
        self._given, self._field = given, f"{field}.parameters"

    def text(self, name: str) -> str:
        value = self._given.get(name)
        if not isinstance(value, str) or not value:
            raise self.wrong(name, "give a text")
        return value

    def bound(self, name: str) -> float | None:
        value = self._given.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, "give a number")
        return value

    def bounds(self) -> tuple[float | None, float | None]:
        low, high = self.bound("min"), self.bound("max")
        if low is None and high is None:
            raise self.wrong("min", "give min, max or both")
        return low, high

    def day(self, name: str) -> dt.datetime | None:
        value = self._given.get(name)
        if value is None:
            return None
        if (found := moment_of(value)) is None:
            raise self.wrong(name, "give an ISO 8601 date")
        return found

    def values(self, name: str) -> list[Any]:
        value = self._given.get(name)
        if not isinstance(value, list) or not value:
            raise self.wrong(name, "give a list of values")
        return value

    def wrong(self, name: str, message: str) -> ContractError:
        return ContractError.of(f"{self._field}.{name}", message)


def _required(parameters: _Parameters, values: Mapping[str, Value]) -> Check:
    return lambda value: "is empty" if value is None or value == "" else None


_TYPES: dict[str, Callable[[Value], bool]] = {
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "text": lambda value: isinstance(value, str),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "date": lambda value: moment_of(value) is not None,
}


def _type(parameters: _Parameters, values: Mapping[str, Value]) -> Check:
    name = parameters.text("type")
    if name not in _TYPES:
        raise parameters.wrong("type", f"known types: {', '.join(_TYPES)}")
    return lambda value: None if _TYPES[name](value) else f"is no {name}"


def _range(parameters: _Parameters, values: Mapping[str, Value]) -> Check:
    low, high = parameters.bounds()

    def check(value: Value) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "is no number"
        return _outside(value, low, high)

    return check


def _length(parameters: _Parameters, values: Mapping[str, Value]) -> Check:
    low, high = parameters.bounds()

    def check(value: Value) -> str | None:
        fault = _outside(len(text_of(value)), low, high)
        return None if fault is None else f"has {len(text_of(value))} characters, which {fault}"

    return check


def _outside(value: float, low: float | None, high: float | None) -> str | None:
    if low is not None and value < low:
        return f"is less than {low:g}"
    if high is not None and value > high:
        return f"is more than {high:g}"
    return None


def _regex(parameters: _Parameters, values: Mapping[str, Value]) -> Check:
    pattern = parameters.text("pattern")
    try:
        # Rust's engine, through pydantic: its time is linear in the text, so no pattern can hold up a worker.
        validator = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError as error:
        raise parameters.wrong("pattern", f"is no pattern that can be used: {error}") from error

    def check(value: Value) -> str | None:
        try:
            validator.validate_python(text_of(value))
        except ValidationError:
            return f"does not match {pattern}"
        return None

    return check


def _enum(parameters: _Parameters, values: Mapping[str, Value]) -> Check:
    allowed = {_identity(value) for value in parameters.values("values")}
    return lambda value: None if _identity(value) in allowed else "is none of the allowed values"


def _unique(parameters: _Parameters, values: Mapping[str, Value]) -> Check:
    counts = Counter(map(_identity, values.values()))
    return lambda value: None if counts[_identity(value)] == 1 else "is there more than once"


def _identity(value: Any) -> tuple[str, str]:
    """What makes two values the same: 1 and 1.0 are, 1 and "1" and TRUE are not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return type(value).__name__, str(value)
    return "number", repr(float(value))


def _date(parameters: _Parameters, values: Mapping[str, Value]) -> Check:
    low, high = parameters.day("min"), parameters.day("max")

    def check(value: Value) -> str | None:
        moment = moment_of(value)
        if moment is None:
            return "is no date"
        if low is not None and moment < low:
            return f"is before {low.isoformat()}"
        if high is not None and moment > high:
            return f"is after {high.isoformat()}"
        return None

    return check


def moment_of(value: object) -> dt.datetime | None:
    """An ISO 8601 date or time, in UTC when it names no zone; None when it is none."""
    if not isinstance(value, str):
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _email(parameters: _Parameters, values: Mapping[str, Value]) -> Check:
    def check(value: Value) -> str | None:
        try:
            validate_email(text_of(value), check_deliverability=False)
        except EmailNotValidError:
            return "is no e-mail address"
        return None

    return check


def text_of(value: Value) -> str:
    """A value's text as a spreadsheet shows it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return "" if value is None else str(value)


_MAKERS: dict[str, Callable[[_Parameters, Mapping[str, Value]], Check]] = {
    "required": _required,
    "type": _type,
    "range": _range,
    "length": _length,
    "regex": _regex,
    "enum": _enum,
    "unique": _unique,
    "date": _date,
    "email": _email,
}
