"""Buckets that must be looked at record by record, in parts that fit into memory; pure.

Neighbours go together. One that is too large alone is taken in slices: by its jobs' ids, so that all of a job
is in one of them; Postgres computes the same slices.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from connectors.audit.books import Extent

AT_ONCE = 100_000
"""So many jobs or rows are held in memory, about 100 MB."""
SLICES = 4096


@dataclass(frozen=True, slots=True)
class Part:
    """Some buckets by their number, whole or some slices of them."""

    buckets: Mapping[int, Extent]
    slices: frozenset[int] | None = field(default=None)

    def has(self, bucket: int, job_id: str) -> bool:
        """Whether this job's record of a bucket is to be looked at now."""
        return bucket in self.buckets and (self.slices is None or slice_of(job_id) in self.slices)


def slice_of(job_id: str) -> int:
    """Twelve bits of the id's MD5."""
    raw = job_id.encode("utf-8", "surrogatepass")
    return int(hashlib.md5(raw, usedforsecurity=False).hexdigest()[:3], 16)


def slice_sql(column: str) -> str:
    """The same in Postgres."""
    return f"('x' || substr(md5({column}), 1, 3))::bit(12)::int"


def parts(buckets: Mapping[int, tuple[int, Extent]], at_once: int = AT_ONCE) -> Iterator[Part]:
    """`buckets`: how much each holds, and where its records stand."""
    for numbers in _gathered({number: size for number, (size, _) in buckets.items()}, at_once):
        extents = {number: buckets[number][1] for number in numbers}
        of = -(-sum(buckets[number][0] for number in numbers) // at_once)
        if of <= 1:
            yield Part(extents)
        for first in range(of) if of > 1 else ():
            yield Part(extents, frozenset(range(first, SLICES, of)))


def sliced(extents: Mapping[int, Extent], sizes: Mapping[int, int], at_once: int = AT_ONCE) -> Iterator[Part]:
    """Only these slices of some buckets; `sizes`: how much each slice holds."""
    for numbers in _gathered(sizes, at_once):
        yield Part(extents, frozenset(numbers))


def _gathered(sizes: Mapping[int, int], at_once: int) -> Iterator[list[int]]:
    """Numbers in their order, together while they are not too much; one that is too much stands alone."""
    numbers: list[int] = []
    held = 0
    for number, size in sorted(sizes.items()):
        if numbers and held + size > at_once:
            yield numbers
            numbers, held = [], 0
        numbers.append(number)
        held += size
    if numbers:
        yield numbers
