"""What is due next: few times in memory, however many rows there are, and each of them once."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.states import State
from streams.core.entry import position
from streams.core.rows import Rows
from streams.core.timers import Timers
from tests.unit.streams.core.builders import MemoryTables, an_entry

PAGE = 3


class Delayed:
    """The table and the timers of a lane."""

    def __init__(self) -> None:
        self.tables = MemoryTables()
        self.timers = Timers(Rows(self.tables, 0), 1, PAGE)
        self.count = 0

    def add(self, due: int) -> bytes:
        place = position(f"key-{self.count}", 1, self.count)
        self.count += 1
        self.timers.add(due, place)
        self.tables.rows[place] = an_entry().parked(State.DELAYED, holder=False, due=due)
        return place[:16]


@given(st.lists(st.one_of(st.integers(1, 40), st.none()), max_size=60))
def test_every_row_is_named_once_in_the_order_of_its_time(script: list[int | None]) -> None:
    delayed, now, waiting = Delayed(), 0, dict[bytes, int]()
    for due in script:
        if due is not None:
            waiting[delayed.add(now + due)] = now + due
        else:
            now += 10
            while (name := delayed.timers.next_key(now)) is not None:
                assert waiting.pop(name) <= now
            assert all(due > now for due in waiting.values())
        assert len(delayed.timers) <= 2 * PAGE
    while (name := delayed.timers.next_key(100_000)) is not None:
        del waiting[name]
    assert waiting == {}


def test_a_new_owner_reads_what_the_last_one_left() -> None:
    left = Delayed()
    names = [left.add(due) for due in (5, 3, 9, 1, 7)]
    timers = Timers(Rows(left.tables, 0), 1, PAGE)
    assert [timers.next_key(100) for _ in range(6)] == [names[at] for at in (3, 1, 0, 4, 2)] + [None]
    assert not timers


def test_nothing_is_due_before_its_time() -> None:
    delayed = Delayed()
    delayed.add(10)
    assert delayed.timers.next_key(9) is None
    assert delayed.timers.next_key(10) is not None
