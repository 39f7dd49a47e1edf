"""What the demo says of mails: a copy counts against it only where nothing explains it."""

from typing import Any

import pytest

from ops.demo.arrivals import amiss, interruptions
from ops.demo.mails import greylisted

Json = dict[str, Any]
ID = "<tf-1@example.com>"
START: Json = {"state": "active", "attempt": 1}
CUT_OFF = START | {"reason": "interrupted"}
END: Json = {"state": "completed", "attempt": 1}


def failed(kind: str) -> list[Json]:
    """An attempt that another followed."""
    return [START, {"state": "failed", "error": {"class": kind}}, {"state": "delayed"}]


def job(*timeline: Json, state: str = "completed", attempts: int = 1) -> Json:
    result = {"data": {"messageId": ID}}
    return {"state": state, "attempts": attempts, "timeline": list(timeline), "result": result}


def test_one_message_is_as_promised() -> None:
    assert amiss(job(START, END), [ID]) is None


@pytest.mark.parametrize("before", [[START], failed("outcome_unknown"), failed("timeout")])
def test_a_second_one_is_where_nobody_knew_what_became_of_the_first(before: list[Json]) -> None:
    begun = CUT_OFF if before == [START] else START
    assert amiss(job(*before, begun, END), [ID, ID]) is None
    assert amiss(job(*before, begun, END), [ID]) is None
    assert amiss(job(*before, begun, END), [ID, ID, ID]) == "arrived 3 times, 1 attempts ended unknown"


def test_a_second_one_of_a_job_that_was_not_cut_off_is_wrong() -> None:
    assert amiss(job(START, END), [ID, ID]) == "arrived 2 times, 0 attempts ended unknown"
    assert amiss(job(*failed("451"), START, END), [ID, ID]) is not None


def test_a_copy_under_another_message_id_is_wrong() -> None:
    assert amiss(job(START, CUT_OFF, END), [ID, "<other>"]) is not None
    assert amiss(job(START, END), ["<other>"]) is not None


def test_a_message_that_is_missing_and_a_job_that_died_are_wrong() -> None:
    assert amiss(job(START, END), []) == "nothing arrived"
    assert amiss(job(START, state="dead"), [ID]) == "the job is dead"


def test_a_report_of_progress_is_no_interruption() -> None:
    assert interruptions(job(START, START | {"progress": {"percentage": 5}}, CUT_OFF, END)) == 1


def test_a_greylisted_one_arrives_after_it_was_put_off() -> None:
    check = greylisted(job(*failed("451"), START, END, attempts=2), [ID])
    assert check.ok
    assert check.found == "attempt 2, 0 cut off, arrived 1 times"


def test_a_greylisted_one_whose_first_attempt_was_cut_off_may_get_through_under_the_same_number() -> None:
    assert greylisted(job(START, CUT_OFF, END), [ID]).ok
    assert not greylisted(job(START, END), [ID]).ok
    assert not greylisted(job(*failed("451"), START, END), [ID, ID]).ok
