"""The circuit: when it opens, how it is probed, and what does not count."""

import pytest

from streams.core.breaker import IN_A_ROW, OPEN_S, WINDOW, Breaker, Circuit


def told(outcomes: str, now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for outcome in outcomes:
        breaker.note(outcome == "+", now)
    return breaker


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("-" * (IN_A_ROW - 1), Circuit.CLOSED),
        ("-" * IN_A_ROW, Circuit.OPEN),
        ("----+----", Circuit.CLOSED),
        ("-+" * (WINDOW // 2 - 1), Circuit.CLOSED),
        ("+-" * (WINDOW // 2), Circuit.OPEN),
        ("+" * WINDOW + "+-" * 9, Circuit.CLOSED),
        ("+" * WINDOW + "+-" * 10, Circuit.OPEN),
    ],
)
def test_five_failures_in_a_row_or_half_of_the_last_twenty_open_it(outcomes: str, state: Circuit) -> None:
    assert told(outcomes).state(0.0) is state


def test_it_is_half_open_after_its_time_and_a_probe_decides() -> None:
    for succeeded, state in ((True, Circuit.CLOSED), (False, Circuit.OPEN)):
        breaker = told("-----")
        assert breaker.state(OPEN_S - 0.001) is Circuit.OPEN
        assert breaker.state(OPEN_S) is Circuit.HALF_OPEN
        breaker.probed(succeeded, OPEN_S)
        assert breaker.state(OPEN_S + 1) is state


def test_calls_that_started_before_it_opened_neither_close_nor_prolong_it() -> None:
    breaker = told("-----")
    for succeeded in (True, False):
        breaker.note(succeeded, OPEN_S - 1)
    assert breaker.state(OPEN_S) is Circuit.HALF_OPEN
    breaker.probed(True, OPEN_S)
    breaker.note(False, OPEN_S)
    assert breaker.state(OPEN_S) is Circuit.CLOSED, "what came before is forgotten"


def test_a_probe_of_a_circuit_that_is_closed_again_changes_nothing() -> None:
    breaker = told("-----")
    breaker.close()
    breaker.probed(False, 1.0)
    assert breaker.state(1.0) is Circuit.CLOSED
