"""The moves between states, typed from the specification."""

import pytest

from schemas.states import TERMINAL, State, is_allowed

LEGAL = {
    "waiting": {"active", "delayed", "duplicate", "cancelled", "dead"},
    "delayed": {"waiting", "active", "duplicate", "cancelled", "dead"},
    "blocked": {"waiting", "cancelled", "dead"},
    "active": {"active", "completed", "failed", "dead", "cancelled"},
    "failed": {"delayed"},
    "completed": set(),
    "dead": set(),
    "cancelled": set(),
    "duplicate": set(),
}


@pytest.mark.parametrize("old", State)
@pytest.mark.parametrize("new", State)
def test_exactly_the_legal_moves_are_allowed(old: State, new: State) -> None:
    assert is_allowed(old, new) == (new.value in LEGAL[old.value])


def test_terminal_states_lead_nowhere() -> None:
    assert {state.value for state in TERMINAL} == {state for state, moves in LEGAL.items() if not moves}
