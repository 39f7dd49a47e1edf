import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from connectors.postgres.rows import ENVELOPE, LETTER, SUBJECT, TRANSITION, Rows, header_text, json_text
from schemas.records import Failure, Transition
from tests.unit.connectors.postgres.builders import (
    NOW,
    completed,
    dead_letter,
    history,
    job,
    lifecycle,
    shuffled,
    started,
)


def test_a_job_and_its_transitions_are_one_row_and_one_each() -> None:
    rows = Rows.of([job(), lifecycle(job(), started(), completed())])
    assert len(rows.jobs()) == 1
    assert [place[2] for place in rows.transitions] == [0, 1, 2]


def test_a_command_has_no_row() -> None:
    rows = Rows.of([job(queue="control", type="cancel")])
    assert (rows.subjects, rows.transitions) == ({}, {})


def test_rows_have_the_columns_of_their_tables() -> None:
    rows = Rows.of([job(), lifecycle(job("job-2"), started()), dead_letter()])
    assert {len(row) for row in rows.jobs()} == {len(SUBJECT) + len(ENVELOPE) + 1}
    assert {len(row) for row in rows.transitions.values()} == {len(TRANSITION)}
    assert {len(row) for row in rows.letters.values()} == {len(LETTER)}


def test_jobs_are_written_in_the_order_of_their_ids() -> None:
    rows = Rows.of([job("b"), job("c"), job("a")])
    assert [row[0] for row in rows.jobs()] == ["a", "b", "c"]


def test_a_job_without_its_envelope_has_none() -> None:
    (row,) = Rows.of([lifecycle(job(), started())]).jobs()
    assert row[len(SUBJECT) : -1] == (None,) * len(ENVELOPE)


def test_the_envelope_of_the_latest_series_counts_and_the_first_acceptance() -> None:
    rows = Rows.of([job(series=1, at=NOW + 50, data="2"), job(data="1")])
    (row,) = rows.jobs()
    named = dict(zip((*SUBJECT, *ENVELOPE, "keep_days"), row, strict=True))
    assert (named["envelope_series"], named["data"], named["accepted_at"]) == (1, "2", NOW)


def test_nul_characters_do_not_reach_postgres() -> None:
    change = Transition(1, "waiting", "dead", 1, NOW, error=Failure("x\x00", "a\x00b", False), reason="\x00")
    rows = Rows.of([job("j\x00b"), lifecycle(job("j\x00b"), change), dead_letter(message="m\x00")])
    for row in (*rows.jobs(), *rows.transitions.values(), *rows.letters.values()):
        assert not any(isinstance(value, str) and "\x00" in value for value in row)


def test_text_that_is_no_json_is_kept_as_a_json_string() -> None:
    assert json_text('{"a":1}') == '{"a":1}'
    assert json_text("not json") == '"not json"'
    assert json_text(None) is None


def test_deeply_nested_data_is_kept_as_a_json_string() -> None:
    text = "[" * 100_000 + "]" * 100_000
    kept = json_text(text)
    assert kept is not None
    assert msgspec.json.decode(kept) == text


def test_headers_are_readable_or_base64() -> None:
    assert header_text(b"job-1") == "job-1"
    assert header_text(b"\xff") == "base64:/w=="


@given(st.integers(0, 2**32))
def test_repeats_and_order_change_no_row(seed: int) -> None:
    chance = random.Random(seed)
    records = history(job(), chance)
    some, other = Rows.of(records), Rows.of(shuffled(records, chance))
    assert sorted(some.transitions.items()) == sorted(other.transitions.items())
    assert some.jobs() == other.jobs()
