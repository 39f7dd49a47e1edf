"""How far a re-drive may go."""

import pytest

from connectors.redrive.canary import Plan, Tally, limits, too_many_fail, verdict


def test_the_stages_are_shares_of_the_whole_and_the_first_is_at_least_one_letter() -> None:
    assert limits(1_000, (1, 10, 100)) == [10, 100, 1_000]
    assert limits(5, (1, 10, 100)) == [1, 1, 5]


def test_one_failure_in_a_stage_of_one_stops() -> None:
    assert verdict(Tally(100, sent=1, failing=1), Plan(), 0) == "failing"


def test_a_few_failures_among_many_are_tolerated_and_more_are_not() -> None:
    assert not too_many_fail(Tally(1_000, sent=100, completed=90, failing=10), 0.1)
    assert too_many_fail(Tally(1_000, sent=100, completed=89, failing=11), 0.1)


def test_the_first_few_of_a_large_stage_do_not_judge_it_alone() -> None:
    assert not too_many_fail(Tally(1_000, sent=500, failing=1), 0.1)
    assert too_many_fail(Tally(1_000, sent=500, failing=2), 0.1)


def test_a_stage_waits_until_all_its_letters_are_decided() -> None:
    assert verdict(Tally(100, sent=10, completed=9), Plan(), 1) == "wait"
    assert verdict(Tally(100, sent=10, completed=10), Plan(), 1) == "go"


def test_a_stage_that_nobody_can_judge_does_not_let_the_next_one_go() -> None:
    assert verdict(Tally(100, sent=10, completed=9), Plan(patience_s=60), 60) == "undecided"


def test_letters_that_could_not_be_sent_are_no_failures() -> None:
    assert verdict(Tally(100, sent=0, refused=10), Plan(), 0) == "go"


@pytest.mark.parametrize("stages", [(), (10,), (10, 1, 100), (0, 100), (1, 1, 100), (1, 200)])
def test_stages_rise_to_the_whole(stages: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="rising percentages"):
        Plan(stages)
