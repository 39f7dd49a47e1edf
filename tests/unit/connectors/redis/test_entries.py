import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.redis import entries
from connectors.redis.entries import Entry

Made = tuple[bytes, int, int, int, int, int, str, bytes]
NUMBERS = st.integers(0, 2**32 - 1)
ONE = st.tuples(
    st.sampled_from([b"J", b"L", b"K"]), NUMBERS, NUMBERS, NUMBERS, st.integers(-1, 2**50),
    st.integers(0, 2**50), st.sampled_from(["", "waiting", "completed"]), st.binary(min_size=1, max_size=50),
)  # fmt: skip


@given(st.lists(ONE, max_size=5))
def test_entries_come_back_as_they_were_made(made: list[Made]) -> None:
    value = b"".join(entries.entry(*one) for one in made)
    assert entries.entries(value, {}) == [Entry(one[0], one[-1]) for one in made]
    assert not entries.has_long(value)


@given(ONE)
def test_a_content_that_lies_aside_is_found_there(one: Made) -> None:
    whole = entries.entry(*one)
    short = entries.without_content(whole, one[-1])
    identity = whole[: entries.IDENTITY]
    assert entries.has_long(short)
    assert entries.entries(short, {identity: one[-1]}) == [Entry(one[0], one[-1])]
    assert entries.entries(short, {}) == [Entry(one[0], b"")]


def test_what_is_no_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="no entry"):
        entries.split(entries.entry(b"J", 0, 0, 0, 0, 0, "waiting", b"x") + b"rest")
