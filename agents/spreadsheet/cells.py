"""Cells as the spreadsheet engine sees them: ids to addresses, contents to inputs, values to JSON."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any

from schemas.errors import ContractError, PermanentError

# What a spreadsheet program holds, less the last rows, of which the engine needs one.
MAX_ROW, MAX_COLUMN = 1_000_000, 16_384
MAX_FORMULA_CHARS = 8_192
MAX_TEXT_CHARS = 32_767
_SAFE_INTEGER = 2**53

Address = tuple[int, int]
Value = str | int | float | bool | None

ERRORS = {
    "Circ": "#CIRC!",
    "Div": "#DIV/0!",
    "Na": "#N/A",
    "Name": "#NAME?",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "Ref": "#REF!",
    "Spill": "#SPILL!",
    "Calc": "#CALC!",
    "Value": "#VALUE!",
    "NImpl": "#N/IMPL!",
    "Error": "#ERROR!",
}
_ID = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})$")


def address_of(cell_id: str, field: str = "data.cellId") -> Address:
    """Row and column of a cell id such as `B12`, from 1; ContractError when it is none."""
    match = _ID.match(cell_id)
    row, column = (int(match[2]), _column(match[1])) if match else (0, 0)
    if not match or row > MAX_ROW or column > MAX_COLUMN:
        raise ContractError.of(field, f"{cell_id!r} is no cell: columns go from A to XFD, rows to {MAX_ROW}")
    return row, column


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def id_of(address: Address) -> str:
    """The cell id of a row and a column."""
    row, column = address
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row}"


def is_formula(value: object) -> bool:
    """Whether a cell's input is a formula; a lone `=` is a text."""
    return isinstance(value, str) and len(value) > 1 and value.startswith("=")


def checked(value: Value, field: str) -> Value:
    """The input as it is; ContractError when it is longer or larger than a cell can hold."""
    if isinstance(value, str):
        limit = MAX_FORMULA_CHARS if is_formula(value) else MAX_TEXT_CHARS
        if len(value) > limit:
            raise ContractError.of(field, f"{len(value)} characters; a cell takes at most {limit}")
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE_INTEGER:
        raise ContractError.of(field, "a whole number beyond 2^53 loses digits; send it as a text")
    return value


def content_of(value: Value) -> str | None:
    """How a cell's input is kept: a JSON text, None for an empty cell."""
    return None if value is None else json.dumps(value, ensure_ascii=False)


def input_of(content: str) -> Value:
    """A cell's input from how it is kept."""
    value: Value = json.loads(content)
    return value


def shown(value: Any) -> Value:
    """A value of the engine as JSON: errors as spreadsheet programs write them, dates in ISO 8601."""
    if isinstance(value, Mapping):
        kind = str(value.get("kind", ""))
        return ERRORS.get(kind, f"#{kind.upper()}!")
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value / dt.timedelta(days=1)
    if isinstance(value, float) and value.is_integer() and abs(value) < _SAFE_INTEGER:
        return int(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise PermanentError(f"the engine gave a {type(value).__name__}", code="formula")


def is_error(value: Value) -> bool:
    """Whether a shown value is one of the `#DIV/0!` family."""
    return isinstance(value, str) and (value in _ERROR_TEXTS)


_ERROR_TEXTS = frozenset(ERRORS.values())
