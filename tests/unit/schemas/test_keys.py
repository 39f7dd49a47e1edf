"""Keys are filled from the data and the time of acceptance, and stand for nothing else."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.keys import digest, fill


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("template", "data", "key"),
    [
        ("refund-{transactionId}", {"transactionId": "t1"}, "refund-t1"),
        ("nft-{eventId}-{seatId|ticketId}", {"eventId": "e", "seatId": "s", "ticketId": "t"}, "nft-e-s"),
        ("nft-{eventId}-{seatId|ticketId}", {"eventId": "e", "seatId": None, "ticketId": "t"}, "nft-e-t"),
        ("a-{venueId|'global'}-{userId|'anonymous'}", {}, "a-global-anonymous"),
        ("a-{venueId|'global'}", {"venueId": "v"}, "a-v"),
        ("report-{venueId}-{format}", {"format": "csv"}, "report--csv"),
        ("pay-{amount}", {"amount": 0}, "pay-0"),
    ],
)
def test_a_placeholder_is_a_member_an_alternative_or_a_quoted_text(
    template: str, data: dict[str, object], key: str
) -> None:
    assert fill(template, data, 0) == key


@pytest.mark.parametrize(
    ("at", "date", "minute"),
    [
        ("2026-01-31T23:59:59.999", "2026-01-31", "2026-01-31T23:59"),
        ("2026-02-01T00:00:00", "2026-02-01", "2026-02-01T00:00"),
        ("2024-02-29T12:34:56", "2024-02-29", "2024-02-29T12:34"),
    ],
)
def test_date_and_minute_are_those_of_acceptance_in_utc(at: str, date: str, minute: str) -> None:
    assert fill("{date}|{minute}", {"date": "ignored"}, ms(at)) == f"{date}|{minute}"


def test_a_hash_stands_for_members_and_is_used_only_for_want_of_another() -> None:
    template = "sms-{template|hash:message}"
    assert fill(template, {"template": "t", "message": "m"}, 0) == "sms-t"
    assert fill(template, {"message": "m"}, 0) == f"sms-{digest('m').hex()}"
    both = "{hash:title+body}"
    assert fill(both, {"title": "ab", "body": "c"}, 0) != fill(both, {"title": "a", "body": "bc"}, 0)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_a_digest_tells_every_split_of_the_same_text_apart(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)


@given(st.text(min_size=1), st.data())
def test_a_digest_tells_where_a_text_was_cut(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    assert digest(text[:cut], text[cut:]) != digest(text)
    assert len(digest(text)) == 16
