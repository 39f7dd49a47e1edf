"""The listed queries use indexes: on generated jobs no query reads a month from beginning to end."""

import pytest

from ops.bench.plans import fill, plans

JOBS = 90_000


@pytest.fixture(scope="module")
def filled(database_url: str) -> str:
    fill(database_url, JOBS)
    return database_url


def test_no_listed_query_reads_months_of_jobs_whole(filled: str) -> None:
    found = plans(filled)
    assert len(found) >= 18
    whole = {one.name: one.whole_months for one in found}
    assert {name for name, months in whole.items() if months} == set()


def test_a_query_reads_a_small_part_of_the_blocks(filled: str) -> None:
    for one in plans(filled):
        assert one.blocks < 1_000, one
