"""Workbooks: what is computed incrementally is what a fresh workbook computes."""

import datetime as dt
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.spreadsheet import workbook as workbook_module
from agents.spreadsheet import workbooks as module
from agents.spreadsheet.cells import MAX_ROW, Value, address_of, content_of, id_of
from agents.spreadsheet.workbook import Workbook
from agents.spreadsheet.workbooks import Workbooks
from schemas.errors import ContractError, PermanentError
from tests.unit.agents.handlers.contexts import MemoryDocument

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


async def edited(
    workbooks: Workbooks, document: MemoryDocument, edits: Mapping[str, Value]
) -> dict[str, Value]:
    """Apply and keep, as a completed job does."""
    changed = await workbooks.apply(document, edits, NOW)
    for cell, value in edits.items():
        document.write(cell, content_of(value))
    return changed


CELLS = [f"{column}{row}" for column in "ABC" for row in range(1, 5)]
references = st.sampled_from(CELLS)
formulas = st.one_of(
    st.builds("={}+{}".format, references, references),
    st.builds("={}*2".format, references),
    st.builds("=SUM({}:{})".format, references, references),
    st.builds("=IF({}>3,{},{})".format, references, references, references),
    st.builds("=10/{}".format, references),
    st.builds('={}&"x"'.format, references),
)
values: st.SearchStrategy[Value] = st.one_of(
    st.none(), st.integers(-5, 5), st.booleans(), st.sampled_from(["", "a", "7"]), formulas
)
edits = st.lists(st.tuples(references, values), min_size=1, max_size=25)


@settings(max_examples=150, deadline=None)
@given(edits=edits)
async def test_incremental_equals_fresh(edits: list[tuple[str, Value]]) -> None:
    workbooks, document = Workbooks(), MemoryDocument()
    shown: dict[str, Value] = {}
    for cell, value in edits:
        try:
            shown |= await edited(workbooks, document, {cell: value})
        except ContractError:
            continue
        fresh = await Workbooks().values(document, CELLS, NOW)
        assert await workbooks.values(document, CELLS, NOW) == fresh
        # What the viewers were told, edit after edit, is what a new viewer would see.
        assert {cell: shown.get(cell) for cell in CELLS} == fresh


async def test_dependents_come_after_what_they_depend_on() -> None:
    workbooks, document = Workbooks(), MemoryDocument()
    await edited(workbooks, document, {"A1": 1, "C1": "=B1+A1", "B1": "=A1+1", "D1": "=C1"})
    assert list(await edited(workbooks, document, {"A1": 5})) == ["A1", "B1", "C1", "D1"]


async def test_cells_that_keep_their_value_are_not_told() -> None:
    workbooks, document = Workbooks(), MemoryDocument()
    await edited(workbooks, document, {"A1": 1, "B1": "=A1>0", "C1": "=A1"})
    assert await edited(workbooks, document, {"A1": 2}) == {"A1": 2, "C1": 2}


async def test_a_circle_shows_in_every_member_and_heals() -> None:
    workbooks, document = Workbooks(), MemoryDocument()
    await edited(workbooks, document, {"A1": 1, "A2": "=A1+1", "A3": "=A2+1"})
    assert await edited(workbooks, document, {"A1": "=A3"}) == {
        "A1": "#CIRC!",
        "A2": "#CIRC!",
        "A3": "#CIRC!",
    }
    assert await edited(workbooks, document, {"A1": 5}) == {"A1": 5, "A2": 6, "A3": 7}


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        ("=1/0", "#DIV/0!"),
        ("=NOSUCH(1)", "#NAME?"),
        ("=NA()", "#N/A"),
        ("=SQRT(-1)", "#NUM!"),
        ('="a"+1', "#VALUE!"),
        ("=Other!A1", "#REF!"),
        ("=DATE(2026,1,31)", "2026-01-31"),
        ("=NOW()", "2026-01-01T00:00:00"),
        ("=1/4", 0.25),
        ("=6/2", 3),
        ("=1=1", True),
    ],
)
async def test_values_look_as_in_a_spreadsheet_program(formula: str, shown: Value) -> None:
    changed = await Workbooks().apply(MemoryDocument(), {"A1": formula}, NOW)
    assert changed["A1"] == shown
    assert type(changed["A1"]) is type(shown)


async def test_the_clock_is_the_one_that_is_given() -> None:
    workbooks, document = Workbooks(), MemoryDocument()
    await edited(workbooks, document, {"A1": "=YEAR(NOW())", "B1": "=A1+1"})
    later = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
    changed = await workbooks.apply(document, {"C1": 1}, later)
    assert changed == {"C1": 1, "A1": 2031, "B1": 2032}


async def test_an_array_spills_and_comes_back_when_its_way_is_free() -> None:
    workbooks, document = Workbooks(), MemoryDocument()
    await edited(workbooks, document, {"A1": 3})
    assert await edited(workbooks, document, {"B1": "=SEQUENCE(A1)"}) == {"B1": 1, "B2": 2, "B3": 3}
    assert await edited(workbooks, document, {"B2": "x"}) == {"B2": "x", "B1": "#SPILL!", "B3": None}
    assert await edited(workbooks, document, {"B2": None}) == {"B2": 2, "B1": 1, "B3": 3}
    assert await edited(workbooks, document, {"A1": 2}) == {"A1": 2, "B3": None}


async def test_an_edit_that_needs_too_much_is_refused_and_the_document_lives_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workbook_module, "MAX_WORK_UNITS", 100)
    workbooks, document = Workbooks(), MemoryDocument()
    await edited(workbooks, document, {"A1": 1})
    refused = {f"B{row}": "=A1+1" for row in range(1, 200)}
    with pytest.raises(PermanentError) as caught:
        await workbooks.apply(document, refused, NOW)
    assert caught.value.code == "formula_too_heavy"
    assert await edited(workbooks, document, {"A2": "=A1+1"}) == {"A2": 2}


async def test_a_document_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 3)
    with pytest.raises(PermanentError) as caught:
        await Workbooks().apply(MemoryDocument(), {f"A{row}": row for row in range(1, 5)}, NOW)
    assert caught.value.code == "document_too_large"


async def test_the_longest_unused_document_is_closed() -> None:
    workbooks = Workbooks(max_open=2)
    documents = [MemoryDocument(id=name) for name in ("a", "b", "c")]
    for document in documents:
        await edited(workbooks, document, {"A1": 1})
    assert len(workbooks) == 2
    assert (await edited(workbooks, documents[0], {"A2": "=A1+1"}))["A2"] == 2


async def test_a_forgotten_document_is_read_again_from_its_table() -> None:
    workbooks, document = Workbooks(), MemoryDocument({"A1": "1"})
    await workbooks.apply(document, {"A1": 99}, NOW)  # dropped: never written to the document
    assert await workbooks.values(document, ["A1"], NOW) == {"A1": 99}
    workbooks.forget(0, "doc")
    assert await workbooks.values(document, ["A1"], NOW) == {"A1": 1}


async def test_a_lost_partition_takes_all_its_documents_and_no_other() -> None:
    workbooks = Workbooks()
    for partition in (0, 1):
        for name in ("a", "b"):
            await workbooks.apply(MemoryDocument(partition=partition, id=name), {"A1": 1}, NOW)
    workbooks.forget_partition(0)
    assert len(workbooks) == 2


async def test_documents_of_two_tenants_with_one_id_are_two() -> None:
    workbooks = Workbooks()
    await workbooks.apply(MemoryDocument(tenant_id="one"), {"A1": "secret"}, NOW)
    assert await workbooks.values(MemoryDocument(tenant_id="two"), ["A1"], NOW) == {"A1": None}


@pytest.mark.parametrize(
    ("cell", "address"), [("A1", (1, 1)), ("Z9", (9, 26)), ("AA10", (10, 27)), ("XFD1", (1, 16384))]
)
def test_cell_ids_and_addresses(cell: str, address: tuple[int, int]) -> None:
    assert address_of(cell) == address
    assert id_of(address) == cell


@pytest.mark.parametrize("cell", ["XFE1", "ZZZ1", f"A{MAX_ROW + 1}", "A0", "1A", "a1", "A1:A2", ""])
def test_what_is_no_cell_is_refused_before_the_engine_sees_it(cell: str) -> None:
    with pytest.raises(ContractError):
        address_of(cell)


def test_a_chain_of_20_000_cells_is_computed() -> None:
    chain: dict[str, Value] = {"A1": 1}
    chain |= {f"A{row}": f"=A{row - 1}+1" for row in range(2, 20_001)}
    workbook = Workbook(chain, NOW)
    changed = workbook.apply({"A1": 2}, NOW)
    assert changed["A20000"] == 20_001
    assert list(changed)[:3] == ["A1", "A2", "A3"]
