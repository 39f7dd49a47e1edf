"""What is the same in most records is one text in memory, within bounds."""

from typing import Any

import pytest

from streams.avro import names
from streams.avro.names import share, written


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "NAMES", {})
    monkeypatch.setattr(names, "WRITTEN", {})


def test_a_text_is_found_by_its_bytes_from_then_on() -> None:
    text = share(b"messages")
    assert text == "messages"
    assert names.NAMES[b"messages"] is text


def test_a_long_text_is_not_kept() -> None:
    assert share(b"x" * (names.LONGEST + 1)) == "x" * (names.LONGEST + 1)
    assert not names.NAMES


def test_no_more_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MOST", 1)
    assert [share(b"a"), share(b"b")] == ["a", "b"]
    assert list(names.NAMES) == [b"a"]


def test_a_text_is_written_as_before_from_then_on() -> None:
    raw = written("messages")
    assert raw == b"\x10messages"
    assert names.WRITTEN["messages"] is raw


def test_a_long_text_is_written_and_not_kept() -> None:
    assert written("x" * (names.LONGEST + 1)).endswith(b"x" * (names.LONGEST + 1))
    assert not names.WRITTEN


def test_no_more_that_was_written_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MOST", 1)
    assert [written("a"), written("b")] == [b"\x02a", b"\x02b"]
    assert list(names.WRITTEN) == ["a"]


@pytest.mark.parametrize("wrong", [7, None, b"raw", "\ud800"])
def test_what_is_no_text_is_not_written(wrong: Any) -> None:
    with pytest.raises((AttributeError, TypeError, UnicodeEncodeError)):
        written(wrong)
    assert not names.WRITTEN
