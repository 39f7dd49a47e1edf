"""A fetch that stopped is found, and one that only has nothing to read is not."""

from streams.transport.stalls import Stalls

P, Q = ("t", 0), ("t", 1)


def test_a_partition_at_the_end_of_its_log_is_no_stall() -> None:
    assert Stalls(2).judge({P: 10}, {P: 10}) == (set(), set())


def test_a_partition_whose_end_is_not_known_is_no_stall() -> None:
    assert Stalls(2).judge({P: 10}, {}) == (set(), set())


def test_a_partition_that_stays_behind_is_sought_again_and_given_up_at_last() -> None:
    stalls = Stalls(2)
    found = [stalls.judge({P: 10, Q: 5}, {P: 20, Q: 5}) for _ in range(3)]
    assert found == [({P}, set()), ({P}, set()), (set(), {P})]


def test_a_partition_that_moved_counts_from_one_again() -> None:
    stalls = Stalls(1)
    stalls.judge({P: 10}, {P: 20})
    assert stalls.judge({P: 11}, {P: 20}) == ({P}, set())
