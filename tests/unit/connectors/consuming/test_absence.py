from connectors.consuming.absence import FIRST_WAIT_S, LONGEST_WAIT_S, Absence


def test_only_the_first_failure_is_news() -> None:
    absence = Absence()
    assert [absence.failed(now) for now in (1.0, 2.0, 3.0)] == [True, False, False]


def test_the_wait_grows_to_its_limit() -> None:
    absence = Absence(jitter=lambda: 1.0)
    waits = []
    for _ in range(20):
        absence.failed(0.0)
        waits.append(absence.wait_s(0.0))
    assert waits[0] == FIRST_WAIT_S
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_S


def test_jitter_shortens_a_wait_by_half_at_most() -> None:
    absence = Absence(jitter=lambda: 0.0)
    absence.failed(0.0)
    assert absence.wait_s(0.0) == FIRST_WAIT_S / 2


def test_an_answer_ends_the_absence_and_tells_its_length() -> None:
    absence = Absence()
    assert absence.answered(1.0) is None
    absence.failed(2.0)
    assert absence.answered(5.0) == 3.0
    assert absence.wait_s(5.0) == 0.0
    assert absence.failed(6.0)
