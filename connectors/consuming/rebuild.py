"""Fills an empty target from the topics alone, up to fixed ends, by the code of the running consumer."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from confluent_kafka import Message

from connectors.consuming.loop import source
from connectors.consuming.positions import Move, Place
from connectors.consuming.target import Target, TargetAwayError
from connectors.kafka.reading import Bound, Reader, Span
from streams.log import get

log = get(__name__)

BATCH_RECORDS = 8_000
_ATTEMPTS, _AWAY_S = 5, 1.0


@dataclass(slots=True)
class Filled:
    """What was written. `horizon`: of what was accepted before it (ms) the topics may no longer tell all."""

    records: int = 0
    rows: int = 0
    horizon: int | None = None
    ends: dict[Place, int] = field(default_factory=dict)


def spans_of(reader: Reader, topics: Iterable[str], ends: Mapping[Place, int] | None = None) -> list[Span]:
    """All that the topics hold, or what of it lies before the given ends."""
    found = [span for topic in topics for span in reader.spans(topic, Bound(offset=0))]
    if ends is None:
        return found
    return [
        Span(one.topic, one.partition, one.start, max(one.start, min(one.end, ends.get(place_of(one), 0))))
        for one in found
    ]


def place_of(span: Span) -> Place:
    """Its partition."""
    return span.topic, span.partition


def fill(
    reader: Reader,
    target: Target,
    spans: Sequence[Span],
    batch_records: int = BATCH_RECORDS,
    progress: Callable[[int], None] = lambda _: None,
) -> Filled:
    """Write the spans to the target; what it holds of them already is not read again. Blocks.

    Partition by partition, the same of all topics at once: a job's records lie in one, and a row that is
    written in one batch is not changed by a later one.
    """
    filled = Filled(ends={place_of(span): span.end for span in spans})
    for number in sorted({span.partition for span in spans}):
        ours = [span for span in spans if span.partition == number]
        _patiently(partial(_fill_partition, reader, target, ours, batch_records, filled, progress))
    return filled


def _patiently(fill_partition: Callable[[], None]) -> None:
    """A target that hesitates on a busy machine must not cost what is filled: it is asked where it stands."""
    for left in reversed(range(_ATTEMPTS)):
        try:
            fill_partition()
        except TargetAwayError as error:
            if not left:
                raise
            log.warning("the target is away, going on from where it stands", reason=str(error))
            time.sleep(_AWAY_S)
        else:
            return


def _fill_partition(
    reader: Reader,
    target: Target,
    spans: Sequence[Span],
    batch_records: int,
    filled: Filled,
    progress: Callable[[int], None],
) -> None:
    known = target.positions([place_of(span) for span in spans])
    # A target that has nothing stands at 0, wherever the log begins.
    at = {place_of(span): known[place_of(span)] for span in spans}
    left = [
        Span(span.topic, span.partition, min(span.end, max(span.start, at[place_of(span)])), span.end)
        for span in spans
    ]
    truncated = {place_of(span) for span in spans if span.start > 0}
    for slice_ in _slices(left, BATCH_RECORDS):
        messages: list[Message] = []
        for batch in reader.read(slice_):
            _note_horizon(batch, truncated, filled)
            messages += batch
            progress(len(batch))
        ends = {place_of(span): span.end for span in slice_}
        while len(messages) > batch_records:
            filled.rows += _write(target, messages[:batch_records], at, {})
            filled.records += batch_records
            messages = messages[batch_records:]
        filled.rows += _write(target, messages, at, ends)
        filled.records += len(messages)


def _slices(spans: Sequence[Span], batch_records: int) -> Iterator[list[Span]]:
    """The same share of every span at a time: what was written at one time is mostly read at one time.

    A job's envelope and its history then come in one batch, and its row is written once.
    """
    count = max(1, math.ceil(sum(map(len, spans)) / batch_records))
    for number in range(count):
        yield [
            Span(
                span.topic,
                span.partition,
                span.start + len(span) * number // count,
                span.start + len(span) * (number + 1) // count if len(span) else span.end,
            )
            for span in spans
        ]


def _write(
    target: Target, messages: Sequence[Message], at: dict[Place, int], ends: Mapping[Place, int]
) -> int:
    """Write a batch and move the positions behind it, with `ends` over the markers that follow too."""
    ends = ends or {place: offset + 1 for place, offset in map(source, messages)}
    moves = [Move(*place, at[place], end) for place, end in ends.items() if end > at[place]]
    if not messages and not moves:
        return 0
    rows = target.write(messages, moves)
    at.update((place, max(end, at[place])) for place, end in ends.items())
    return rows


def _note_horizon(batch: Sequence[Message], truncated: set[Place], filled: Filled) -> None:
    """The first record that is left of a log that has lost its beginning."""
    for message in batch if truncated else ():
        place, _ = source(message)
        if place in truncated:
            truncated.discard(place)
            filled.horizon = max(filled.horizon or 0, message.timestamp()[1])
