import json

import pytest

from agents.handlers.editor_events import cell_update, formula_change, passed_on
from agents.handlers.formula_calculation import formula_calculation
from agents.spreadsheet.workbooks import Workbooks
from schemas.errors import ContractError
from schemas.payloads.events import AnyChange, CellUpdate, FormulaChange
from schemas.payloads.robot import FormulaCalculation
from tests.unit.agents.handlers.contexts import MemoryDocument, context, job


def update(cell: str, value: object) -> CellUpdate:
    return CellUpdate.parse(json.dumps({"cellId": cell, "newValue": value}))


def calculation(cell: str, formula: str) -> FormulaCalculation:
    return FormulaCalculation.parse(
        json.dumps({"documentId": "doc", "userId": "u", "cellId": cell, "formula": formula})
    )


async def test_an_update_keeps_the_input_and_tells_every_changed_cell() -> None:
    document = MemoryDocument({"A1": "1", "B1": '"=A1*2"', "C1": '"=B1+A1"'})
    ctx = context(document=document)
    result = await cell_update(ctx, update("A1", 10))
    assert document.written == {"A1": "10"}
    assert result == {"cellId": "A1", "value": 10, "changed": 3}
    kinds = dict(ctx.updates)
    assert list(kinds["cells_changed"]["cells"].items()) == [("A1", 10), ("B1", 20), ("C1", 30)]
    assert kinds["event_processed"]["eventId"] == ctx.job.job_id
    assert kinds["event_processed"]["type"] == "cell_update"


async def test_a_formula_is_kept_as_a_formula_not_as_its_result() -> None:
    document = MemoryDocument({"A1": "2"})
    await cell_update(context(document=document), update("B1", "=A1+1"))
    assert document.written == {"B1": '"=A1+1"'}


async def test_null_empties_the_cell() -> None:
    document = MemoryDocument({"A1": "2", "B1": '"=A1+1"'})
    result = await cell_update(context(document=document), update("A1", None))
    assert document.written == {"A1": None}
    assert result["value"] is None
    assert result["changed"] == 2


async def test_a_formula_change_works_without_the_equals_sign() -> None:
    document = MemoryDocument({"A1": "2"})
    data = FormulaChange.parse('{"cellId": "B1", "formula": "A1*4"}')
    result = await formula_change(context(job("formula_change"), document=document), data)
    assert result["value"] == 8
    assert document.written == {"B1": '"=A1*4"'}


async def test_formula_calculation_answers_value_and_time() -> None:
    document = MemoryDocument({"A1": "2", "A2": "3"})
    result = await formula_calculation(context(document=document), calculation("A3", "=SUM(A1:A2)"))
    assert (result["cellId"], result["result"]) == ("A3", 5)
    assert result["calculationTime"] > 0


async def test_an_error_value_is_a_result() -> None:
    result = await formula_calculation(context(), calculation("A1", "=1/0"))
    assert result["result"] == "#DIV/0!"


@pytest.mark.parametrize("formula", ["=A1+1", "=SUM(A1:A9)", "=1+", "=SUM("])
async def test_a_formula_that_cannot_be_changes_nothing(formula: str) -> None:
    document = MemoryDocument({"A2": "1"})
    ctx = context(document=document)
    with pytest.raises(ContractError, match=r"data\.formula"):
        await formula_calculation(ctx, calculation("A1", formula))
    assert document.written == {}
    assert ctx.updates == []


async def test_what_a_failed_edit_left_in_the_workbook_is_forgotten() -> None:
    document, workbooks = MemoryDocument({"A1": "1"}), Workbooks()
    await cell_update(context(document=document, workbooks=workbooks), update("B1", "=A1"))
    with pytest.raises(ContractError):
        await cell_update(context(document=document, workbooks=workbooks), update("A1", "=A1+1"))
    result = await cell_update(context(document=document, workbooks=workbooks), update("C1", "=A1+B1"))
    assert result["value"] == 2


@pytest.mark.parametrize(
    ("value", "why"), [("x" * 40_000, "at most"), (2**60, "2\\^53"), ("=" + "1+" * 5000, "at most")]
)
async def test_a_value_that_no_cell_holds_is_refused(value: object, why: str) -> None:
    with pytest.raises(ContractError, match=why):
        await cell_update(context(), update("A1", value))


async def test_selections_are_passed_on_and_touch_no_cell() -> None:
    document, workbooks = MemoryDocument(), Workbooks()
    ctx = context(job("selection_change"), document=document, workbooks=workbooks)
    await passed_on(ctx, AnyChange.parse('{"from": 1, "to": 2}'))
    kind, payload = ctx.updates[0]
    assert kind == "event_processed"
    assert payload["type"] == "selection_change"
    assert payload["data"] == {"from": 1, "to": 2}
    assert document.written == {}
    assert len(workbooks) == 0
