"""What the guard ends."""

from ops.stack.guard import listed


def test_what_started_and_did_not_end_is_listed_with_its_signal() -> None:
    assert listed(["+10 15\n", "+11 9\n", "+12 2\n", "-11\n"]) == {10: 15, 12: 2}


def test_an_end_that_is_told_twice_is_one_end() -> None:
    assert listed(["+10 15\n", "-10\n", "-10\n"]) == {}


def test_a_number_that_comes_again_is_the_later_process() -> None:
    assert listed(["+10 15\n", "-10\n", "+10 9\n"]) == {10: 9}
