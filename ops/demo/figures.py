"""Formulas over the columns of a sheet, each with the figure that pandas computes from the same table."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas  # type: ignore[import-untyped]

from ops.demo.tables import Sheet, plain

# Excel's name, and pandas' method.
FUNCTIONS = {
    "SUM": "sum", "AVERAGE": "mean", "MIN": "min", "MAX": "max", "COUNT": "count", "MEDIAN": "median",
    "STDEV": "std", "VAR": "var",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """A formula and what it must give."""

    formula: str
    expected: object


def of_columns(sheet: Sheet) -> Iterator[Figure]:
    """Every function over every column of numbers."""
    for column in sheet.numbers():
        for function, method in FUNCTIONS.items():
            figure = getattr(sheet.frame[column], method)()
            yield Figure(f"={function}({sheet.range_of(column)})", plain(figure))


def of_groups(sheet: Sheet, group: str, column: str) -> Iterator[Figure]:
    """Sum, mean and count of a column for each value of another."""
    where, what = sheet.range_of(group), sheet.range_of(column)
    for value, part in sheet.frame.groupby(group):
        figures: pandas.Series = part[column]
        yield Figure(f'=SUMIF({where},"{value}",{what})', plain(figures.sum()))
        yield Figure(f'=AVERAGEIF({where},"{value}",{what})', plain(figures.mean()))
        yield Figure(f'=COUNTIF({where},"{value}")', len(part))
