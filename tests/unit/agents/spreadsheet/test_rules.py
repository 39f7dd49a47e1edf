from typing import Any

import pytest
from pydantic import ValidationError

from agents.spreadsheet.cells import Value
from agents.spreadsheet.rules import check_of
from schemas.errors import ContractError
from schemas.payloads.robot import Rule


def fault(kind: str, value: Value, others: tuple[Value, ...] = (), **parameters: Any) -> str | None:
    values = {f"A{n}": each for n, each in enumerate((value, *others), 1)}
    return check_of(Rule(type=kind, parameters=parameters), "data.rules.0", values)(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "value", "parameters"),
    [
        ("required", 0, {}),
        ("required", False, {}),
        ("type", 1.5, {"type": "number"}),
        ("type", 2, {"type": "integer"}),
        ("type", "x", {"type": "text"}),
        ("type", "x", {"type": "string"}),
        ("type", True, {"type": "boolean"}),
        ("type", "2026-01-31", {"type": "date"}),
        ("range", 5, {"min": 5}),
        ("range", 5, {"max": 5}),
        ("length", "abc", {"min": 3, "max": 3}),
        ("length", 123, {"max": 3}),
        ("regex", "xaby", {"pattern": "a.y"}),
        ("enum", 1.0, {"values": [1]}),
        ("enum", True, {"values": [True]}),
        ("date", "2026-01-31T10:00:00+02:00", {"min": "2026-01-31", "max": "2026-02-01"}),
        ("email", "someone@example.com", {}),
    ],
)
def test_good_values_pass(kind: str, value: Value, parameters: dict[str, Any]) -> None:
    assert fault(kind, value, **parameters) is None


@pytest.mark.parametrize(
    ("kind", "value", "parameters", "why"),
    [
        ("required", None, {}, "is empty"),
        ("required", "", {}, "is empty"),
        ("type", True, {"type": "number"}, "is no number"),
        ("type", 1.5, {"type": "integer"}, "is no integer"),
        ("type", 1, {"type": "text"}, "is no text"),
        ("type", "soon", {"type": "date"}, "is no date"),
        ("range", 4.99, {"min": 5}, "is less than 5"),
        ("range", 6, {"max": 5}, "is more than 5"),
        ("range", "6", {"max": 5}, "is no number"),
        ("length", "abcd", {"max": 3}, "has 4 characters, which is more than 3"),
        ("regex", "xyz", {"pattern": "^a"}, "does not match ^a"),
        ("enum", "1", {"values": [1]}, "is none of the allowed values"),
        ("enum", True, {"values": [1]}, "is none of the allowed values"),
        ("date", "2026-01-30", {"min": "2026-01-31"}, "is before 2026-01-31T00:00:00+00:00"),
        ("date", "2026-02-02", {"max": "2026-02-01"}, "is after 2026-02-01T00:00:00+00:00"),
        ("date", 5, {}, "is no date"),
        ("email", "nobody", {}, "is no e-mail address"),
    ],
)
def test_bad_values_are_named(kind: str, value: Value, parameters: dict[str, Any], why: str) -> None:
    assert fault(kind, value, **parameters) == why


def test_what_stands_twice_is_not_unique() -> None:
    assert fault("unique", 1, (2, 1.0)) == "is there more than once"
    assert fault("unique", 1, (2, "1", True)) is None


@pytest.mark.parametrize("kind", ["type", "range", "length", "regex", "enum", "unique", "date", "email"])
def test_an_empty_cell_breaks_no_rule_but_required(kind: str) -> None:
    parameters = {"type": "number", "min": 1, "pattern": "x", "values": [1]}
    given = {"min": "2026-01-01"} if kind == "date" else parameters
    assert fault(kind, None, (None,), **given) is None


@pytest.mark.parametrize("kind", ["required", "length", "regex", "unique", "email"])
def test_an_error_value_satisfies_no_rule(kind: str) -> None:
    assert fault(kind, "#DIV/0!", min=1, pattern=".") == "shows #DIV/0!"


@pytest.mark.parametrize(
    ("kind", "parameters", "name"),
    [
        ("type", {}, "type"),
        ("type", {"type": "colour"}, "type"),
        ("range", {}, "min"),
        ("range", {"min": "1"}, "min"),
        ("range", {"max": True}, "max"),
        ("regex", {"pattern": "("}, "pattern"),
        ("regex", {"pattern": "(?=x)"}, "pattern"),
        ("enum", {"values": []}, "values"),
        ("date", {"min": "yesterday"}, "min"),
    ],
)
def test_a_wrong_parameter_is_named(kind: str, parameters: dict[str, Any], name: str) -> None:
    with pytest.raises(ContractError, match=rf"data\.rules\.0\.parameters\.{name}: "):
        fault(kind, 1, **parameters)


def test_an_unknown_rule_type_breaks_the_contract() -> None:
    with pytest.raises(ValidationError):
        fault("colour", 1)


@pytest.mark.timeout(60)
def test_no_pattern_takes_more_than_linear_time() -> None:
    assert fault("regex", "a" * 30_000 + "!", pattern="^(a+)+$") is not None
