"""Tables of public data as spreadsheets: the ones that ship inside the vega_datasets package."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pandas  # type: ignore[import-untyped]
from vega_datasets import local_data

from agents.spreadsheet.cells import Value, id_of

# Table, and the rows at most that are taken of it.
TAKEN = {
    "iris": 150, "barley": 120, "cars": 406, "stocks": 300, "seattle_weather": 250, "us_employment": 60,
    "burtin": 16, "crimea": 24, "driving": 55, "wheat": 52, "ohlc": 44, "anscombe": 44,
}  # fmt: skip
FIRST_ROW = 2


@dataclass(frozen=True)
class Sheet:
    """One table as a document: a header in row 1, then a row of cells for each record."""

    name: str
    document_id: str
    frame: pandas.DataFrame

    @property
    def last_row(self) -> int:
        """The row of the last record."""
        return FIRST_ROW + len(self.frame) - 1

    def column(self, name: str) -> int:
        """The column's number, from 1."""
        return list(self.frame.columns).index(name) + 1

    def cells_of(self, name: str) -> list[str]:
        """The ids of a column's cells, in order."""
        return [id_of((row, self.column(name))) for row in range(FIRST_ROW, self.last_row + 1)]

    def range_of(self, name: str) -> str:
        """A column's records as a range: `B2:B151`."""
        cells = self.cells_of(name)
        return f"{cells[0]}:{cells[-1]}"

    def free_cell(self, number: int) -> str:
        """A cell to the right of the data."""
        return id_of((1 + number, len(self.frame.columns) + 3))

    def numbers(self) -> list[str]:
        """The names of the columns that hold numbers."""
        return list(self.frame.select_dtypes("number").columns)

    def cells(self) -> dict[str, Value]:
        """Every cell that is not empty, header first."""
        cells: dict[str, Value] = {
            id_of((1, index)): str(name) for index, name in enumerate(self.frame.columns, 1)
        }
        for row, record in enumerate(self.frame.itertuples(index=False), FIRST_ROW):
            for column, value in enumerate(record, 1):
                if not pandas.isna(value):
                    cells[id_of((row, column))] = plain(value)
        return cells


def plain(value: Any) -> Value:
    """A value of a table as JSON has it; dates in ISO 8601."""
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat()
    made: Value = value.item() if hasattr(value, "item") else value
    return made


def sheets(run: str) -> list[Sheet]:
    """The documents of a run; `run` keeps those of several runs apart."""
    return [
        Sheet(name, f"demo-{run}-{name}", getattr(local_data, name)().head(rows))
        for name, rows in TAKEN.items()
    ]


def table(name: str) -> pandas.DataFrame:
    """A whole table."""
    frame: pandas.DataFrame = getattr(local_data, name)()
    return frame
