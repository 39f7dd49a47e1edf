"""What a person changes about a letter's data."""

import json

import pytest

from connectors.redrive.edit import Edit, edited, merged
from schemas.errors import ContractError
from tests.unit.connectors.gateway.fakes import formula, letter

DATA = formula()["data"]
LETTER = letter(queue="robot", type="formula_calculation", data=json.dumps(DATA))


def test_no_edit_leaves_the_data_as_they_were() -> None:
    assert edited(LETTER, Edit()) is None


def test_a_patch_changes_members_and_null_takes_them_away() -> None:
    assert merged({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": 4}}) == {"b": {"c": 4, "d": 3}}
    assert merged([1], {"a": {"b": None}}) == {"a": {}}
    assert merged({"a": 1}, [2]) == [2]


def test_a_patch_that_breaks_the_contract_is_refused() -> None:
    with pytest.raises(ContractError, match="formula"):
        edited(LETTER, Edit(patch='{"formula": null}'))


def test_new_data_hold_the_contract_and_keep_their_spelling() -> None:
    text = json.dumps({**DATA, "formula": "=3"}, indent=1)
    assert edited(LETTER, Edit(data=text)) == text


def test_a_letter_without_data_cannot_be_patched() -> None:
    with pytest.raises(ContractError, match="patch"):
        edited(letter(data=None), Edit(patch="{}"))


def test_an_edit_is_one_of_its_kinds() -> None:
    with pytest.raises(ValueError, match="one of"):
        Edit(data="{}", patch="{}")
