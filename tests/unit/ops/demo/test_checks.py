from ops.demo.checks import close, equal, none_of


def test_what_differs_fails_and_says_both() -> None:
    check = equal("sum", 3, 4)
    assert not check.ok
    assert check.found == "3, expected 4"


def test_what_is_equal_holds() -> None:
    assert equal("sum", [1], [1]).ok


def test_one_wrong_thing_fails_the_whole_and_is_named() -> None:
    check = none_of("jobs end", "jobs", ["job 7"], 10)
    assert not check.ok
    assert check.found == "1 of 10 jobs: job 7"


def test_nothing_to_check_is_no_success() -> None:
    assert not none_of("jobs end", "jobs", [], 0).ok


def test_numbers_may_differ_by_the_order_of_additions_only() -> None:
    assert close(0.1 + 0.2, 0.3)
    assert not close(1.0, 1.0001)
    assert not close(None, 0)
    assert not close("1", 1)
