from datetime import UTC, date, datetime

import pytest

from connectors.postgres.months import following, is_over, keep_days, month_in, months_ahead, months_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def at(*day: int) -> int:
    return int(datetime(*day, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


def test_nft_jobs_are_kept_for_a_year_and_all_others_for_90_days() -> None:
    kinds = ("nft-mint", "nft-transfer", "payment-process", "refund-process", "of no catalogue")
    assert [keep_days(kind) for kind in kinds] == [365, 365, 90, 90, 90]


def test_a_month_begins_and_ends_in_utc() -> None:
    last, first = at(2026, 11, 1) - 1, at(2026, 11, 1)
    assert months_of([("jobs_90d", last), ("jobs_90d", first), ("jobs_90d", first + 5)], NOW) == [
        ("jobs_90d", date(2026, 10, 1)),
        ("jobs_90d", date(2026, 11, 1)),
    ]


@pytest.mark.parametrize("wrong", [0, at(2019, 12, 31), at(2028, 1, 1), 10**18, -1])
def test_no_month_is_made_for_a_time_of_a_clock_far_off(wrong: int) -> None:
    assert months_of([("jobs_90d", wrong)], NOW) == []


def test_a_month_is_over_when_its_last_row_was_kept_for_long_enough() -> None:
    assert not is_over("jobs_90d_2026_08", datetime(2026, 11, 29, 23, 59, tzinfo=UTC))
    assert is_over("jobs_90d_2026_08", datetime(2026, 11, 30, tzinfo=UTC))
    assert not is_over("jobs_365d_2026_08", datetime(2027, 8, 31, tzinfo=UTC))
    assert is_over("jobs_365d_2026_08", datetime(2027, 9, 1, tzinfo=UTC))
    assert not is_over("jobs_90d_other", datetime(2100, 1, 1, tzinfo=UTC))
    assert not is_over("accounts_2020_01", NOW)


def test_names_and_months_are_told_from_each_other() -> None:
    assert month_in("job_transitions_365d_2027_01") == ("job_transitions_365d", date(2027, 1, 1))
    assert following(date(2026, 11, 30), 2) == date(2027, 1, 1)
    assert ("dead_letter_jobs", date(2027, 1, 1)) in months_ahead(NOW)
