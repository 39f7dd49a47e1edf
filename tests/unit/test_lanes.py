"""The two lanes that `make test` runs: each test is in one of them, and either fails the whole."""

import pytest

from tests.lanes import BESIDE, NO_TESTS, ROOT, _names_tests, together

FAILED, INTERRUPTED = 1, 2


def test_what_runs_beside_is_there() -> None:
    assert all((ROOT / path).exists() for path in BESIDE)


@pytest.mark.parametrize(
    ("in_front", "beside", "status"),
    [
        (0, 0, 0),
        (FAILED, 0, FAILED),
        (0, FAILED, FAILED),
        (INTERRUPTED, FAILED, INTERRUPTED),
        (NO_TESTS, 0, 0),
        (0, NO_TESTS, 0),
        (NO_TESTS, FAILED, FAILED),
        (NO_TESTS, NO_TESTS, NO_TESTS),
        (-9, 0, -9),
    ],
)
def test_a_lane_that_fails_fails_both_and_one_without_tests_none(
    in_front: int, beside: int, status: int
) -> None:
    assert together(in_front, beside) == status


def test_only_arguments_that_are_tests_name_tests() -> None:
    asked = [
        "tests/unit/test_lanes.py::test_what_runs_beside_is_there",
        "-x",
        "-k",
        "streams",
        "tests/none.py",
    ]
    assert [argument for argument in asked if _names_tests(argument)] == asked[:1]
