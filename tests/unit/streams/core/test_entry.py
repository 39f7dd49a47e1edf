"""A job's place in the order of its key, and what is kept of it in the table."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.priorities import Lane
from schemas.records import AttemptError
from schemas.states import State
from streams.core import entry as entries
from streams.core.entry import KEPT_ERRORS, Entry, position
from tests.unit.streams.core.builders import NOW, an_entry

PLACES = st.tuples(st.sampled_from([lane.value for lane in Lane]), st.integers(0, 2**63 - 1))


@given(st.text(), PLACES, PLACES)
def test_within_a_key_the_lane_decides_then_the_offset(
    key: str, one: tuple[int, int], other: tuple[int, int]
) -> None:
    assert (position(key, *one) < position(key, *other)) == (one < other)
    assert position(key, *one)[:16] == position(key, *other)[:16]


@given(st.text(), st.text(), PLACES)
def test_no_two_keys_share_a_prefix(one: str, other: str, place: tuple[int, int]) -> None:
    assert (position(one, *place)[:16] == position(other, *place)[:16]) == (one == other)


def test_what_stands_for_a_key_is_kept_within_bounds() -> None:
    entries.KEPT.cache_clear()
    keys = ["a", "b", "x" * (entries.LONGEST_KEPT + 1), "c"]
    places = [position(key, 1, 7) for key in keys]
    assert entries.KEPT.cache_info()[1:] == (3, 4_096, 3)  # misses, the most, kept: not the long one
    assert [position(key, 1, 7) for key in keys] == places


def test_an_entry_comes_back_from_the_table_as_it_was() -> None:
    entry = an_entry(7, Lane.BULK)
    entry.attempt, entry.number, entry.interruptions = 3, 9, 2
    entry.failed(AttemptError(1, NOW, "timeout", "slow"))
    parked = entry.parked(State.DELAYED, holder=True, due=NOW + 5)
    again = Entry.restored(entry.position, 4, parked)
    assert (again.job, again.attempt, again.number, again.interruptions) == (entry.job, 3, 9, 2)
    assert (again.errors, again.state, again.step, again.partition) == (entry.errors, State.DELAYED, None, 4)
    assert (again.lane, again.key) == (Lane.BULK, entry.key)
    assert again.began


def test_the_first_and_the_last_errors_are_kept() -> None:
    entry = an_entry()
    for attempt in range(1, 31):
        entry.failed(AttemptError(attempt, NOW, "timeout", "slow"))
    assert [error.attempt for error in entry.errors] == [1, *range(31 - KEPT_ERRORS + 1, 31)]
