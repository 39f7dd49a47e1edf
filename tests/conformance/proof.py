"""What must be true after a run, counted from the topics alone."""

from collections import Counter
from dataclasses import dataclass

from streams.transport.limits import RESERVED_PREFIX
from tests.conformance.load import Load, read_all


@dataclass(frozen=True)
class Proof:
    """All zero when every record had its effect exactly once, in order."""

    lost: int
    doubled: int
    out_of_order: int
    wrong_views: int
    """Answers whose handler saw another table than the records before it leave."""
    wrong_entries: int
    """Keys whose entry in the changelog is not what the records say."""

    @property
    def holds(self) -> bool:
        """Nothing is wrong."""
        return not any((self.lost, self.doubled, self.out_of_order, self.wrong_views, self.wrong_entries))


def prove(load: Load) -> Proof:
    """Read outputs and changelog as a read_committed consumer does."""
    answers: Counter[tuple[bytes, int]] = Counter()
    out_of_order = wrong_views = 0
    last_number: dict[bytes, int] = {}
    for topic in load.output_topics:
        for record in read_all(load.bootstrap, topic, load.partitions):
            key, number, count, before = (record.value() or b"").split(b":")
            answers[key, int(number)] += 1
            out_of_order += int(number) <= last_number.get(key, -1)
            wrong_views += (int(count), int(before)) != (int(number) + 1, int(number) - 1)
            last_number[key] = int(number)
    return Proof(
        lost=load.total - len(answers),
        doubled=answers.total() - len(answers),
        out_of_order=out_of_order,
        wrong_views=wrong_views,
        wrong_entries=_wrong_entries(load),
    )


def _wrong_entries(load: Load) -> int:
    table: dict[bytes, bytes | None] = {}
    for record in read_all(load.bootstrap, load.changelog, load.partitions):
        key = record.key() or b""
        if not key.startswith(RESERVED_PREFIX):
            table[key] = record.value()
    expected = Counter(load.key(source, n) for source in range(load.sources) for n in range(load.records))
    right = sum(table.get(key) == b"%d,%d" % (count, count - 1) for key, count in expected.items())
    return len(expected) - right + len(set(table) - set(expected))
