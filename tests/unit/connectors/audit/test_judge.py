"""One job, or one record that came in, judged by all that is known of it."""

from typing import Any

import pytest

from connectors.audit.judge import Arrived, Case, Finding, Home, Where, judge, judge_arrival
from schemas.records import Transition

LANE: Where = ("tier-1.normal", 0, 7)
BEGUN = Transition(1, "waiting", "active", 1, 10)
DONE = Transition(2, "active", "completed", 1, 20)
FAILED = Transition(2, "active", "failed", 1, 20)
DELAYED = Transition(3, "failed", "delayed", 1, 20, due=99)


def case(*changes: Transition, records: int = 1) -> Case:
    places = [("lifecycle", 0, offset) for offset in range(len(changes))]
    lanes = [("tier-1.normal", 0, 7 + number) for number in range(records)]
    return Case("j", 0, lanes, list(zip(changes, places, strict=True)))


def at(home: Home) -> Any:
    return lambda _: home


def told(findings: list[Finding]) -> list[tuple[str, int | None]]:
    return [(finding.kind, finding.offset) for finding in findings]


def test_an_unbroken_chain_to_one_end_is_in_order() -> None:
    made = judge(case(BEGUN, DONE), at("done"))
    assert (made.fate, made.findings, made.repeats) == ("ended", [], 0)


def test_the_order_in_which_records_are_read_does_not_matter() -> None:
    assert judge(case(DONE, BEGUN), at("done")).findings == []


@pytest.mark.parametrize(("home", "fate"), [("lane", "pending"), ("parked", "pending"), ("done", "missing")])
def test_a_job_without_an_end_is_missing_only_when_it_is_nowhere(home: Home, fate: str) -> None:
    made = judge(case(BEGUN), at(home))
    assert made.fate == fate
    assert [finding.kind for finding in made.findings] == (["missing"] if fate == "missing" else [])


def test_a_job_that_waits_for_its_next_attempt_is_a_retry() -> None:
    assert judge(case(BEGUN, FAILED, DELAYED), at("parked")).fate == "retry"
    waiting = Transition(1, "waiting", "delayed", 1, 10, due=99)
    assert judge(case(waiting), at("parked")).fate == "pending"


def test_a_second_end_is_extra() -> None:
    twice = Transition(3, "active", "dead", 1, 30)
    assert told(judge(case(BEGUN, DONE, twice), at("done")).findings) == [("extra", 2)]


def test_a_transition_that_stands_twice_or_in_two_versions_is_extra() -> None:
    other = Transition(2, "active", "dead", 1, 21)
    assert told(judge(case(BEGUN, DONE, DONE), at("done")).findings) == [("extra", 2)]
    assert told(judge(case(BEGUN, DONE, other), at("done")).findings) == [("extra", 2)]


def test_a_hole_in_the_chain_is_missing_and_a_wrong_link_differs() -> None:
    assert told(judge(case(DONE), at("done")).findings) == [("missing", 0)]
    wrong = Transition(2, "delayed", "cancelled", 1, 20)
    assert told(judge(case(BEGUN, wrong), at("done")).findings) == [("differing", 1)]


def test_an_illegal_move_differs() -> None:
    illegal = Transition(1, "waiting", "completed", 1, 10)
    assert told(judge(case(illegal), at("done")).findings) == [("differing", 0)]


def test_transitions_without_a_tier_record_are_extra() -> None:
    assert told(judge(case(BEGUN, DONE, records=0), at("done")).findings) == [("extra", 0)]


def test_a_job_id_that_was_handed_in_again_is_a_repeat() -> None:
    made = judge(case(BEGUN, DONE, records=3), at("done"))
    assert (made.fate, made.repeats, made.findings) == ("ended", 2, [])


SOURCE: Where = ("job-requests", 1, 5)
WHAT = ("j", "{}")


def arrival(arrived: Arrived, *, passed: bool = True) -> tuple[str | None, bool]:
    finding, pending = judge_arrival(SOURCE, arrived, passed=passed)
    return (finding.kind if finding else None), pending


def test_a_record_that_came_in_becomes_exactly_one_of_the_same_content() -> None:
    assert arrival(Arrived(WHAT, [(LANE, WHAT)])) == (None, False)
    assert arrival(Arrived(WHAT, [(LANE, WHAT), (LANE, WHAT)])) == ("extra", False)
    assert arrival(Arrived(WHAT, [(LANE, ("j", "{ }"))])) == ("differing", False)
    assert arrival(Arrived(None, [(LANE, WHAT)])) == ("extra", False)


def test_a_record_that_came_in_is_missing_only_when_the_router_is_beyond_it() -> None:
    assert arrival(Arrived(WHAT), passed=True) == ("missing", False)
    assert arrival(Arrived(WHAT), passed=False) == (None, True)
