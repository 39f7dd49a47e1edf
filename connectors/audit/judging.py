"""Judges job by job, and arrival by arrival, what does not cancel out in the books: reads it once more.

Memory holds a part of it at a time (see `parts`), whatever is open.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from confluent_kafka import Message

from connectors.audit.balance import Balance, TierBalance
from connectors.audit.books import BLOCK, MINUTE_MS, Books, Extent, Flow, Place, extents
from connectors.audit.contents import Contents, What, place_of
from connectors.audit.homes import Homes
from connectors.audit.judge import Arrived, Case, Finding, Where, judge, judge_arrival
from connectors.audit.parts import AT_ONCE, Part, parts
from connectors.kafka.reading import Reader, Span
from schemas.commands import is_command
from schemas.records import DeadLetter, Job, Lifecycle
from schemas.states import TERMINAL, State
from schemas.tiers import Tier

_ENDS = {state.value for state in TERMINAL}


class Judging:
    """What is wrong by the books, and the figures of what is open. Used by one thread; blocks."""

    def __init__(self, contents: Contents, homes: Homes, reader: Reader, at_once: int = AT_ONCE) -> None:
        self._contents, self._homes, self._reader, self._at_once = contents, homes, reader, at_once

    def findings(self, books: Books, balance: Balance) -> Iterator[Finding]:
        """Everything that should not be; adds what is open to the balance, exhausted or not at all."""
        yield from self._jobs(books, balance)
        yield from self._arrivals(books, balance)
        yield from self._deaths(books)
        for where in self._contents.undecodable:
            yield Finding("extra", "topics", "no record of its topic", None, None, *where)

    # -- jobs

    def _jobs(self, books: Books, balance: Balance) -> Iterator[Finding]:
        """Every job in a bucket that is open: pending ones, and what is wrong."""
        open_: dict[tuple[int, int], dict[int, tuple[int, Extent]]] = defaultdict(dict)
        for (tier, partition, minute), flow in books.flows.items():
            if not flow.closed:
                open_[tier, partition][minute] = _jobs_in(flow), flow.extent
        for (tier, _), minutes in open_.items():
            for part in parts(minutes, self._at_once):
                yield from self._judged(tier, part, balance)

    def _judged(self, tier: int, part: Part, balance: Balance) -> Iterator[Finding]:
        cases: dict[tuple[str, int], Case] = {}
        for message in self._again(part.buckets.values()):
            self._file(message, part, cases)
        balance.judged += len(cases)
        for case in cases.values():
            judgement = judge(case, partial(self._homes.of, Tier(tier)))
            if case.records:
                _count(balance.tiers[tier], case, judgement.fate, judgement.repeats)
            yield from judgement.findings

    def _file(self, message: Message, part: Part, cases: dict[tuple[str, int], Case]) -> None:
        place, offset = place_of(message)
        record = self._contents.decoded(Job if place[0] in self._contents.lanes else Lifecycle, message)
        if record is None or not part.has(record.accepted_at // MINUTE_MS, record.job_id):
            return
        if isinstance(record, Job) and is_command(record):
            return
        key = (record.job_id, record.series)
        case = cases.setdefault(key, Case(*key))
        if isinstance(record, Job):
            case.records.append((*place, offset))
        else:
            case.changes += [(change, (*place, offset)) for change in record.transitions]

    # -- what came in

    def _arrivals(self, books: Books, balance: Balance) -> Iterator[Finding]:
        """Every record that came in, in a block that is open."""
        totals = balance.ingress
        totals.came, totals.refused, totals.commands = books.requests, books.refused, books.commands
        open_: dict[Place, dict[int, tuple[int, Extent]]] = defaultdict(dict)
        for (topic, partition, block), pairs in books.ingress.items():
            if not pairs.closed:
                open_[topic, partition][block] = BLOCK, pairs.extent
        for source, blocks in open_.items():
            for part in parts(blocks, max(BLOCK, self._at_once)):
                yield from self._judged_arrivals(source, part, balance)

    def _judged_arrivals(self, source: Place, part: Part, balance: Balance) -> Iterator[Finding]:
        arrived: dict[int, Arrived] = defaultdict(Arrived)
        for message in self._again(part.buckets.values()):
            self._file_arrival(message, source, part, arrived)
        for offset, one in arrived.items():
            where = (*source, offset)
            finding, pending = judge_arrival(where, one, passed=self._homes.passed(where))
            balance.ingress.pending += pending
            if finding is not None:
                balance.ingress.missing += finding.kind == "missing"
                yield finding

    def _file_arrival(self, message: Message, source: Place, part: Part, arrived: dict[int, Arrived]) -> None:
        place, offset = place_of(message)
        if place[0] in self._contents.ingress:
            what = self._contents.what(place[0], message.value())
            if place == source and offset // BLOCK in part.buckets and what is not None:
                arrived[offset].what = _brief(what)
            return
        record = self._contents.decoded(Job if place[0] in self._contents.lanes else DeadLetter, message)
        if record is None or (record.source_topic, record.source_partition) != source:
            return
        if record.source_offset // BLOCK in part.buckets:
            made = (record.job_id, record.data) if isinstance(record, Job) else self._contents.refused(record)
            arrived[record.source_offset].outputs.append(((*place, offset), _brief(made)))

    # -- deaths

    def _deaths(self, books: Books) -> Iterator[Finding]:
        """Every death and dead letter in a bucket that is open."""
        open_: dict[tuple[int, int], dict[int, Extent]] = defaultdict(dict)
        for (tier, partition, minute), pairs in books.letters.items():
            if not pairs.closed:
                open_[tier, partition][minute] = pairs.extent
        for minutes in open_.values():
            deaths: dict[tuple[str, int], list[Where]] = defaultdict(list)
            letters: dict[tuple[str, int], list[Where]] = defaultdict(list)
            part = Part(minutes)
            for message in self._again(minutes.values()):
                self._file_death(message, part, deaths, letters)
            for key in deaths.keys() | letters.keys():
                yield from _paired(key, deaths[key], letters[key])

    def _file_death(
        self, message: Message, part: Part, deaths: dict[Any, list[Where]], letters: dict[Any, list[Where]]
    ) -> None:
        place, offset = place_of(message)
        if place[0] in self._contents.letters:
            letter = self._contents.decoded(DeadLetter, message)
            if letter is not None and letter.last_failed_at // MINUTE_MS in part.buckets:
                letters[letter.job_id or "", letter.series].append((*place, offset))
            return
        record = self._contents.decoded(Lifecycle, message)
        for change in record.transitions if record is not None else ():
            if change.to_state == State.DEAD and change.at // MINUTE_MS in part.buckets:
                deaths[record.job_id, record.series].append((*place, offset))

    def _again(self, buckets: Iterable[Extent]) -> Iterator[Message]:
        """The records between the first and the last of some buckets once more."""
        spans = [Span(topic, partition, low, high + 1) for topic, partition, low, high in extents(buckets)]
        for batch in self._reader.read(spans):
            yield from batch


def _jobs_in(flow: Flow) -> int:
    return max(1, flow.came, sum(flow.ends.values()))


def _brief(what: What) -> What:
    """The id, and the data as a number: memory holds many of them."""
    return what[0], f"{hash(what[1]):x}"


def _count(totals: TierBalance, case: Case, fate: str, repeats: int) -> None:
    totals.came += 1 + repeats
    totals.repeated += repeats
    if fate == "ended":
        ends = [change for change, _ in case.changes if change.to_state in _ENDS]
        totals.ended(min(ends, key=lambda change: change.number).to_state)
    else:
        setattr(totals, fate, getattr(totals, fate) + 1)


def _paired(key: tuple[str, int], deaths: list[Where], letters: list[Where]) -> Iterator[Finding]:
    job_id, series = key
    if deaths and not letters:
        yield Finding("missing", "dead letters", "dead without a dead letter", job_id, series, *deaths[0])
    elif letters and not deaths:
        yield Finding("extra", "dead letters", "a dead letter without a death", job_id, series, *letters[0])
    elif len(letters) > 1:
        yield Finding("extra", "dead letters", f"{len(letters)} letters", job_id, series, *letters[-1])
