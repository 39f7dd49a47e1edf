"""What is the same in most records is one text in memory, within bounds."""

import pytest

from streams.avro import names
from streams.avro.names import share


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "NAMES", {})


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
