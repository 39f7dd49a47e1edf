import json
from typing import Any

import pytest

from agents.handlers.validation import MAX_VERDICTS, summary, validation, verdict
from schemas.errors import ContractError
from schemas.payloads.robot import Validation
from tests.unit.agents.handlers.contexts import MemoryDocument, context


def asked(cells: list[str], *rules: dict[str, Any]) -> Validation:
    data = {"documentId": "doc", "userId": "u", "cellIds": cells, "rules": list(rules)}
    return Validation.parse(json.dumps(data))


async def run(document: dict[str, object], cells: list[str], *rules: dict[str, Any]) -> dict[str, Any]:
    contents = {cell: json.dumps(value) for cell, value in document.items()}
    return await validation(context(document=MemoryDocument(contents)), asked(cells, *rules))


async def test_there_is_a_verdict_for_each_cell_and_rule() -> None:
    rules = ({"type": "required"}, {"type": "type", "parameters": {"type": "number"}})
    result = await run({"A1": 1, "A2": "x"}, ["A1", "A2", "A3"], *rules)
    found = {(line["cellId"], line["rule"]): line["valid"] for line in result["results"]}
    assert found == {
        ("A1", "required"): True,
        ("A2", "required"): True,
        ("A3", "required"): False,
        ("A1", "type"): True,
        ("A2", "type"): False,
        ("A3", "type"): True,
    }
    assert result["valid"] is False


async def test_what_a_formula_gives_is_judged_not_its_text() -> None:
    rule = {"type": "range", "parameters": {"min": 10, "max": 10}}
    result = await run({"A1": 4, "B1": "=A1+6"}, ["B1"], rule)
    assert result == {
        "valid": True,
        "results": [{"cellId": "B1", "rule": "range", "valid": True, "message": None}],
    }


async def test_a_cross_cell_formula_judges_each_cell_in_its_place() -> None:
    rule = {"type": "cross-cell", "parameters": {"formula": "={cell}<=$B$1"}}
    result = await run({"A1": 1, "A2": 9, "B1": 5}, ["A1", "A2"], rule)
    assert [line["valid"] for line in result["results"]] == [True, False]
    assert result["results"][1]["message"] == "the formula gives FALSE"


async def test_a_cross_cell_formula_that_fails_is_not_valid() -> None:
    rule = {"type": "cross-cell", "parameters": {"formula": "=1/0"}}
    result = await run({"A1": 1}, ["A1"], rule)
    assert result["results"][0]["message"] == "the formula gives #DIV/0!"


async def test_a_wrong_parameter_is_named_with_its_rule() -> None:
    with pytest.raises(ContractError, match=r"data\.rules\.1\.parameters\.pattern"):
        await run({}, ["A1"], {"type": "required"}, {"type": "regex", "parameters": {"pattern": "("}})


@pytest.mark.parametrize("formula", [None, 5, "A1>1", "=A1+"])
async def test_a_cross_cell_rule_needs_a_formula(formula: object) -> None:
    with pytest.raises(ContractError, match="formula"):
        await run({}, ["A1"], {"type": "cross-cell", "parameters": {"formula": formula}})


def test_too_many_verdicts_keep_the_faults() -> None:
    verdicts = [verdict(f"A{n}", "required", None) for n in range(1, MAX_VERDICTS + 10)]
    verdicts.append(verdict("B1", "required", "is empty"))
    result = summary(verdicts)
    assert result["valid"] is False
    assert result["omitted"] == 10
    assert result["results"][0]["cellId"] == "B1"
    assert len(result["results"]) == MAX_VERDICTS
