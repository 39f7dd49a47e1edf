"""Dead letters hold what a record can hold."""

from agents.letters import MAX_LETTER_BYTES, fitting, headers_in, undecodable
from schemas.errors import ContractError
from schemas.records import DeadLetter
from tests.unit.agents.engine import fetched
from tests.unit.streams.core.builders import NOW


def a_letter(**parts: object) -> DeadLetter:
    given = {"key": b"k", "value": b"v", "headers": {"h": b"x"}, "data": "{}"}
    own = {**given, **parts}
    return DeadLetter(
        "l", 2, "t", 0, 9, own["key"], own["value"], own["headers"], "c", "m", "f", NOW, NOW,  # type: ignore[arg-type]
        data=own["data"],  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_letter_that_fits_is_left_as_it_is() -> None:
    letter = a_letter()
    assert fitting(letter) is letter


def test_what_stands_in_it_twice_goes_first_then_headers_then_the_bytes() -> None:
    big = MAX_LETTER_BYTES
    twice = fitting(a_letter(value=b"v" * (big // 2), data="d" * (big // 2)))
    assert (twice.data, twice.value) == (None, b"v" * (big // 2))
    headers = fitting(a_letter(value=b"v" * (big // 2), headers={"h": b"x" * (big // 2)}))
    assert (headers.headers, headers.value) == ({}, b"v" * (big // 2))
    value = fitting(a_letter(value=b"v" * (big + 1)))
    assert (value.value, value.key, value.source_offset) == (None, b"k", 9)


def test_headers_are_bytes_whatever_the_client_gives() -> None:
    given: list[tuple[str, bytes]] = [("a", "text"), ("b", None), ("c", b"raw")]  # type: ignore[list-item]
    assert headers_in(fetched("t", b"", headers=given)) == [("a", b"text"), ("b", b""), ("c", b"raw")]
    assert headers_in(fetched("t", b"")) == []


def test_letters_of_one_cause_are_grouped_by_topic() -> None:
    error = ContractError.of("value", "unknown schema fingerprint 0badcafe01")
    other = ContractError.of("value", "unknown schema fingerprint 77aa55")
    first = undecodable(fetched("t", b"a"), 0, error, NOW)
    second = undecodable(fetched("t", b"b", 6), 0, other, NOW)
    elsewhere = undecodable(fetched("u", b"b", 6), 0, other, NOW)
    assert first.fingerprint == second.fingerprint != elsewhere.fingerprint
