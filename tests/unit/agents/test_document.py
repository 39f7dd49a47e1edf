"""A job's document: reads through its own changes, writes with the outcome or not at all."""

from typing import Any

from agents.document import JobDocument
from agents.tables import CellsTable
from tests.unit.agents.engine import CODEC, TOPOLOGY, MemoryApp
from tests.unit.streams.core.builders import NOW, a_job


def a_document(table: CellsTable | None, **job: Any) -> JobDocument:
    return JobDocument(table, 0, a_job(**{"document_id": "doc-1", **job}))


def a_table(app: Any) -> CellsTable:
    return CellsTable(app, TOPOLOGY, CODEC)


def save(app: MemoryApp, document: JobDocument) -> None:
    with app.step(0):
        document.save(NOW)


def test_changes_are_seen_by_their_attempt_and_by_others_only_when_saved() -> None:
    app = MemoryApp()
    table = a_table(app)
    mine, other = a_document(table), a_document(table)
    mine.write("A1", "1")
    mine.write("B2", '"=A1"')
    assert mine.cells() == {"A1": "1", "B2": '"=A1"'}
    assert other.cells() == {}
    save(app, mine)
    assert other.cells() == {"A1": "1", "B2": '"=A1"'}


def test_an_emptied_cell_is_gone() -> None:
    app = MemoryApp()
    table = a_table(app)
    first = a_document(table)
    first.write("A1", "1")
    save(app, first)
    second = a_document(table)
    second.write("A1", None)
    assert second.cells() == {}
    assert a_document(table).cells() == {"A1": "1"}
    save(app, second)
    assert a_document(table).cells() == {}


def test_tenants_and_documents_are_apart() -> None:
    app = MemoryApp()
    table = a_table(app)
    first = a_document(table, tenant_id="a")
    first.write("A1", "1")
    save(app, first)
    assert a_document(table, tenant_id="b").cells() == {}
    assert a_document(table, tenant_id="a", document_id="doc-10").cells() == {}
    assert a_document(table, tenant_id="a").cells() == {"A1": "1"}


def test_a_tier_without_documents_has_no_cells() -> None:
    document = a_document(None)
    document.write("A1", "1")
    document.save(NOW)
    assert document.cells() == {}
