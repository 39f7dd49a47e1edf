"""The books cancel out exactly when every job's chain is whole."""

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.audit.books import Books
from schemas.records import DeadLetter, Job, Lifecycle
from tests.unit.connectors.postgres.builders import dead_letter, history, job

Record = Job | Lifecycle
ENDS = ("completed", "dead", "cancelled")


def ended_jobs(seed: int, count: int = 6) -> list[Record]:
    """Records of some jobs that all ended, as their owners write them."""
    chance = random.Random(seed)
    found: list[Record] = []
    number = 0
    while number < count:
        records = history(job(f"job-{number}"), chance)
        last = records[-1]
        if isinstance(last, Lifecycle) and last.transitions[-1].to_state in (
            "completed",
            "dead",
            "cancelled",
        ):
            found += records
            number += 1
    return found


def closed(records: list[Record]) -> bool:
    books = Books()
    for offset, record in enumerate(records):
        if isinstance(record, Job):
            books.routed(("lane", 0), offset, record)
        else:
            books.history(("lifecycle", 0), offset, record)
    [flow] = books.flows.values()
    return flow.closed


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_whole_chains_cancel_out_in_any_order(seed: int, chance: random.Random) -> None:
    records = ended_jobs(seed)
    chance.shuffle(records)
    assert closed(records)


def lost(records: list[Record], at: int) -> None:
    del records[at]


def doubled(records: list[Record], at: int) -> None:
    records.append(records[at])


def altered(records: list[Record], at: int) -> None:
    record = records[at]
    if isinstance(record, Job):
        records[at] = msgspec.structs.replace(record, series=record.series + 1)
    else:
        *before, last = record.transitions
        changed = msgspec.structs.replace(last, number=last.number + 1)
        records[at] = msgspec.structs.replace(record, transitions=[*before, changed])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.sampled_from([lost, doubled, altered]))
def test_one_record_lost_doubled_or_altered_does_not(
    seed: int, which: int, tamper: Callable[[list[Record], int], None]
) -> None:
    records = ended_jobs(seed)
    tamper(records, which % len(records))
    assert not closed(records)


def test_a_job_that_has_not_ended_leaves_its_bucket_open() -> None:
    assert not closed([job("a")])


def books_of(*letters: DeadLetter) -> Books:
    books = Books()
    chance, found = random.Random(1), list[Record]()
    while not found or not any(
        isinstance(one, Lifecycle) and one.transitions[-1].to_state == "dead" for one in found
    ):
        found = history(job("a"), chance)
    for record in found:
        if isinstance(record, Lifecycle):
            books.history(("lifecycle", 0), 0, record)
    for letter in letters:
        books.letter(("dlq", 0), 0, letter)
    return books


def test_a_death_and_its_letter_cancel_out_and_nothing_else_does() -> None:
    [(_, _, minute)] = books_of().letters
    at = minute * 60_000
    letter = dead_letter("a:0", job_id="a", series=0, tier=1, last_failed_at=at)
    assert all(pairs.closed for pairs in books_of(letter).letters.values())
    for letters in ([], [letter, letter], [msgspec.structs.replace(letter, job_id="b")]):
        assert not all(pairs.closed for pairs in books_of(*letters).letters.values())


@pytest.mark.parametrize(
    "changed", [{}, {"job_id": "b"}, {"data": "{}"}, {"source_offset": 8}, {"source_partition": 1}]
)
def test_a_record_that_came_in_cancels_out_with_the_job_made_from_it_only(changed: dict[str, Any]) -> None:
    made = job("a", source_offset=7)
    books = Books()
    books.request(("job-requests", 0), 7, ("a", made.data))
    books.routed(("lane", 0), 0, msgspec.structs.replace(made, **changed))
    assert all(pairs.closed for pairs in books.ingress.values()) == (not changed)


def test_what_was_accepted_before_the_time_asked_for_does_not_count() -> None:
    made = job("a")
    books = Books(since=made.accepted_at + 1)
    books.routed(("lane", 0), 0, made)
    assert books.flows == {}
