from typing import Any

import pytest

from connectors.mail_templates import fill, known
from schemas.errors import PermanentError

VALUES: dict[str, dict[str, Any]] = {
    "notice": {"title": "T", "message": "M"},
    "welcome": {"name": "N"},
    "receipt": {"transactionId": "t", "amount": 1205, "currency": "USD"},
    "ticket": {"name": "N", "event": "E", "ticketId": "t"},
}


def test_every_template_can_be_filled() -> None:
    assert set(known()) == set(VALUES)
    for name, values in VALUES.items():
        filled = fill(name, values)
        assert filled.subject
        assert filled.html is not None
        assert filled.html.startswith("<!doctype html>")


def test_values_are_escaped_in_html_and_left_alone_in_text() -> None:
    filled = fill("notice", {"title": "a <b>", "message": "<script>alert('x')</script>"})
    assert filled.html is not None
    assert "<script>" not in filled.html
    assert "&lt;script&gt;" in filled.html
    assert "<script>" in filled.text
    assert filled.subject == "a <b>"


def test_an_amount_is_shown_in_major_units() -> None:
    assert "12.05 USD" in fill("receipt", VALUES["receipt"]).text


def test_a_subject_is_one_line_whatever_the_values() -> None:
    assert fill("notice", {"title": "a\r\nBcc: b", "message": ""}).subject == "a Bcc: b"


def test_an_unknown_template_names_the_known_ones() -> None:
    with pytest.raises(PermanentError, match=r"'nope'; known: notice, receipt, ticket, welcome"):
        fill("nope", {})


@pytest.mark.parametrize("name", ["../notice", "notice.txt.j2", ""])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(PermanentError):
        fill(name, VALUES["notice"])


def test_a_missing_value_is_named() -> None:
    with pytest.raises(PermanentError, match="'message' is undefined"):
        fill("notice", {"title": "T"})


def test_a_value_of_the_wrong_kind_is_the_datas_fault() -> None:
    with pytest.raises(PermanentError, match="receipt"):
        fill("receipt", {**VALUES["receipt"], "amount": "much"})


def test_values_are_never_templates() -> None:
    assert "{{ 7*7 }}" in fill("notice", {"title": "T", "message": "{{ 7*7 }}"}).text
