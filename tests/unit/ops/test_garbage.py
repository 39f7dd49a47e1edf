"""What stays is taken out of the collector's sight."""

import gc
from collections.abc import Iterator

import pytest

from ops import garbage


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_what_is_there_when_a_role_has_started_is_not_looked_at_again() -> None:
    kept = [object()]
    garbage.settle()
    assert not any(one is kept for one in gc.get_objects())
    assert gc.get_threshold()[0] == garbage.YOUNGEST


def test_what_comes_later_is_still_collected() -> None:
    garbage.settle()
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() > 0
