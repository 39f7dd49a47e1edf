"""What is written when a job changes its state."""

from collections.abc import Callable

import pytest

from schemas.records import AttemptError, DeadLetter, Failure, IdempotencyEntry
from schemas.states import State
from streams.core import outcome
from streams.core.entry import Entry
from streams.core.outcome import Completed, Duplicate, Repeated, Writes
from tests.unit.streams.core.builders import NOW, an_entry

DAY_MS = 86_400_000
SLOW = Failure("timeout", "too slow", retryable=True)
LETTER = DeadLetter("l", 2, "t", 0, 0, None, None, {}, "timeout", "too slow", "f", NOW, NOW)


def moves(writes: Writes) -> list[tuple[int, str, str]]:
    return [(move.number, move.from_state, move.to_state) for move in writes.transitions]


def test_a_job_that_ends_at_once_gets_both_transitions_with_their_times() -> None:
    entry = an_entry()
    writes = outcome.completed(entry, Completed('{"success":true}'), NOW + 40, NOW + 10)
    assert moves(writes) == [(1, "waiting", "active"), (2, "active", "completed")]
    assert [move.at for move in writes.transitions] == [NOW + 10, NOW + 40]
    assert (writes.transitions[1].result, writes.transitions[1].progress) == ('{"success":true}', 100)
    assert (writes.at, writes.parked, writes.idempotency, writes.dead_letter) == (NOW + 40, None, None, None)


def test_a_job_that_runs_on_is_checked_in_until_its_attempt_must_be_over() -> None:
    entry = an_entry(timeout_ms=5_000)
    writes = outcome.started(entry, NOW)
    assert moves(writes) == [(1, "waiting", "active")]
    assert writes.transitions[0].reason is None
    assert writes.parked is not None
    assert (writes.parked.state, writes.parked.holder, writes.parked.due) == ("active", True, NOW + 5_000)
    assert writes.parked.next_number == 2
    assert moves(outcome.completed(entry, Completed("{}"), NOW + 9, NOW)) == [(2, "active", "completed")]


def test_a_new_owner_says_that_the_job_was_interrupted_and_counts_on() -> None:
    entry = an_entry()
    parked = outcome.started(entry, NOW).parked
    assert parked is not None
    again = Entry.restored(entry.position, 0, parked)
    writes = outcome.started(again, NOW + 60)
    assert moves(writes) == [(2, "active", "active")]
    assert writes.transitions[0].reason == "interrupted"
    assert writes.parked is not None
    assert writes.parked.interruptions == 1


def test_a_second_check_in_of_one_attempt_is_no_interruption() -> None:
    entry = an_entry()
    outcome.started(entry, NOW)
    assert outcome.started(entry, NOW + 3_000).transitions[0].reason is None


def test_progress_is_a_transition_that_keeps_the_check_in() -> None:
    entry = an_entry(timeout_ms=5_000)
    outcome.started(entry, NOW)
    writes = outcome.progressed(entry, NOW + 1_000, 40, "executing", "half way")
    assert moves(writes) == [(2, "active", "active")]
    said = writes.transitions[0]
    assert (said.progress, said.stage, said.message) == (40, "executing", "half way")
    assert writes.parked is not None
    assert (writes.parked.due, writes.parked.next_number) == (NOW + 6_000, 3)


def test_a_failed_attempt_is_delayed_and_holds_its_key() -> None:
    entry = an_entry()
    writes = outcome.retried(entry, SLOW, NOW + 500, NOW + 100, NOW)
    assert moves(writes) == [(1, "waiting", "active"), (2, "active", "failed"), (3, "failed", "delayed")]
    assert [move.attempt for move in writes.transitions] == [1, 1, 1]
    assert (writes.transitions[1].error, writes.transitions[2].due) == (SLOW, NOW + 500)
    assert writes.parked is not None
    assert (writes.parked.state, writes.parked.holder, writes.parked.due) == ("delayed", True, NOW + 500)
    assert (writes.parked.attempt, writes.parked.next_number) == (2, 4)
    assert writes.parked.errors == [AttemptError(1, NOW + 100, "timeout", "too slow")]


def test_a_job_that_has_used_up_its_attempts_is_dead_with_its_letter() -> None:
    entry = an_entry()
    writes = outcome.dead(entry, SLOW, LETTER, NOW + 9, NOW)
    assert moves(writes) == [(1, "waiting", "active"), (2, "active", "dead")]
    assert (writes.transitions[1].error, writes.transitions[1].reason) == (SLOW, "timeout")
    assert (writes.dead_letter, writes.parked, writes.idempotency) == (LETTER, None, None)


@pytest.mark.parametrize("state", [State.WAITING, State.DELAYED, State.ACTIVE])
def test_a_job_that_dies_without_running_does_not_claim_to_have_run(state: State) -> None:
    entry = an_entry()
    entry.state = state
    writes = outcome.dead(entry, SLOW, LETTER, NOW, None)
    assert moves(writes) == [(1, state, "dead")]
    assert writes.bad == []


def test_a_job_that_is_not_to_run_yet_holds_nobody() -> None:
    writes = outcome.delayed(an_entry(), NOW, NOW + 500)
    assert moves(writes) == [(1, "waiting", "delayed")]
    assert writes.parked is not None
    assert (writes.parked.state, writes.parked.holder, writes.parked.due) == ("delayed", False, NOW + 500)


def test_a_job_behind_another_keeps_its_state_and_says_nothing() -> None:
    writes = outcome.behind(an_entry())
    assert writes.transitions == []
    assert writes.parked is not None
    assert (writes.parked.state, writes.parked.holder, writes.parked.next_number) == ("waiting", False, 1)


def test_a_duplicate_carries_the_first_jobs_id_and_result() -> None:
    writes = outcome.duplicate(an_entry(), Duplicate("first", '{"success":true}'), NOW)
    assert moves(writes) == [(1, "waiting", "duplicate")]
    move = writes.transitions[0]
    assert (move.duplicate_of, move.result) == ("first", '{"success":true}')
    assert (writes.parked, writes.idempotency) == (None, None)


@pytest.mark.parametrize(
    "end",
    [
        lambda entry: outcome.completed(entry, Completed("{}"), NOW, NOW),
        lambda entry: outcome.duplicate(entry, Duplicate("x", None), NOW),
        lambda entry: outcome.dead(entry, SLOW, LETTER, NOW, None),
        lambda entry: outcome.delayed(entry, NOW, NOW),
    ],
)
def test_an_illegal_move_is_noted_and_not_applied(end: Callable[[Entry], Writes]) -> None:
    entry = an_entry()
    entry.state = State.COMPLETED
    writes = end(entry)
    assert writes.transitions == []
    assert writes.bad[0].startswith("completed -> ")
    assert (entry.state, entry.number) == (State.COMPLETED, 1)


# -- idempotency


@pytest.mark.parametrize(("kind", "days"), [("payment-process", 90), ("nft-mint", 365), ("gone", 7)])
def test_a_completed_job_is_remembered_as_long_as_its_type_says(kind: str, days: int) -> None:
    entry = an_entry(type=kind, idempotency=b"digest")
    known = outcome.completed(entry, Completed("{}"), NOW, NOW).idempotency
    assert known == IdempotencyEntry(entry.job.job_id, b"hash", "completed", NOW + days * DAY_MS, "{}")


@pytest.mark.parametrize(("result", "kept"), [("x" * 1_000, True), ("x" * 1_001, False), ("ü" * 600, False)])
def test_a_result_is_kept_beside_the_key_up_to_a_kilobyte(result: str, kept: bool) -> None:
    known = outcome.completed(an_entry(idempotency=b"d"), Completed(result), NOW, NOW).idempotency
    assert known is not None
    assert known.result == (result if kept else None)


def known(**changes: object) -> IdempotencyEntry:
    given = {
        "job_id": "first",
        "data_hash": b"hash",
        "state": "completed",
        "expires_at": NOW + 1,
        "result": "r",
    }
    return IdempotencyEntry(**{**given, **changes})  # type: ignore[arg-type]


def test_the_same_job_under_a_completed_key_is_a_duplicate() -> None:
    assert outcome.seen_before(an_entry(), known(), NOW) == Duplicate("first", "r")


def test_a_job_handed_in_again_after_it_completed_is_repeated() -> None:
    assert outcome.seen_before(an_entry(job_id="first"), known(), NOW) == Repeated()


def test_other_data_under_a_completed_key_is_a_conflict() -> None:
    found = outcome.seen_before(an_entry(), known(data_hash=b"other"), NOW)
    assert isinstance(found, Failure)
    assert (found.error_class, found.retryable) == ("idempotency_conflict", False)


@pytest.mark.parametrize(
    "entry", [None, known(expires_at=NOW), known(state="dead"), known(state="cancelled")]
)
def test_what_is_unknown_expired_or_never_completed_runs(entry: IdempotencyEntry | None) -> None:
    assert outcome.seen_before(an_entry(), entry, NOW) is None


# -- fingerprints


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("id 123", "id 456"),
        ("no charge ch_3Nabc7 here", "no charge ch_9Zxyz1 here"),
        ("job 6b2f6e0e-6a43-4d0c-9a3c-0f8a3c1f7d11 gone", "job 0195f0aa-11c2-7000-8000-aaaaaaaaaaaa gone"),
        ("key deadbeef01 refused", "key cafebabe99 refused"),
        ("mail to ann@example.com bounced", "mail to bob@example.org bounced"),
        ("Timeout after 30s", "timeout  after 31s"),
    ],
)
def test_letters_of_one_cause_share_a_fingerprint(one: str, other: str) -> None:
    prints = {outcome.fingerprint("t", Failure("c", text, retryable=True)) for text in (one, other)}
    assert len(prints) == 1


def test_letters_of_other_types_classes_or_causes_do_not() -> None:
    prints = {
        outcome.fingerprint(kind, Failure(error_class, text, retryable=True))
        for kind in ("a", "b", None)
        for error_class in ("timeout", "connection")
        for text in ("no route", "reset")
    }
    assert len(prints) == 12
