"""What must be looked at once more is taken in parts that fit into memory, and all of it once."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.audit.books import Extent
from connectors.audit.parts import SLICES, Part, parts, slice_of, sliced

IDS = [f"job-{number}" for number in range(50)]


def sized(sizes: dict[int, int]) -> dict[int, tuple[int, Extent]]:
    return {number: (size, Extent()) for number, size in sizes.items()}


def test_neighbours_go_together_while_they_fit() -> None:
    found = list(parts(sized({4: 40, 1: 50, 2: 50, 3: 70}), 100))
    assert [sorted(part.buckets) for part in found] == [[1, 2], [3], [4]]
    assert all(part.slices is None for part in found)


def test_a_bucket_that_is_too_large_is_taken_in_slices() -> None:
    found = list(parts(sized({1: 10, 2: 250}), 100))
    assert [sorted(part.buckets) for part in found] == [[1], [2], [2], [2]]
    assert sorted(one for part in found[1:] for one in part.slices or ()) == list(range(SLICES))


@given(st.dictionaries(st.integers(0, 9), st.integers(1, 400)), st.integers(1, 200))
def test_every_job_of_every_bucket_is_in_exactly_one_part(sizes: dict[int, int], at_once: int) -> None:
    found = list(parts(sized(sizes), at_once))
    for number in sizes:
        for job_id in IDS:
            assert sum(part.has(number, job_id) for part in found) == 1


def test_nothing_open_is_nothing_to_look_at() -> None:
    assert list(parts({}, 100)) == []
    assert list(sliced({1: Extent()}, {}, 100)) == []


def test_only_the_slices_that_differ_are_looked_at() -> None:
    wanted = slice_of("job-7")
    [part] = sliced({1: Extent()}, {wanted: 3}, 100)
    assert part.has(1, "job-7")
    assert not part.has(2, "job-7")
    assert [one for one in IDS if part.has(1, one)] == [one for one in IDS if slice_of(one) == wanted]


def test_slices_go_together_while_they_fit() -> None:
    found = list(sliced({1: Extent()}, {0: 60, 9: 40, 10: 1}, 100))
    assert [sorted(part.slices or ()) for part in found] == [[0, 9], [10]]


def test_a_whole_part_has_every_job_of_its_buckets() -> None:
    part = Part({1: Extent()})
    assert part.has(1, "any")
    assert not part.has(2, "any")
