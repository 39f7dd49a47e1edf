"""The ledger over the topics: reads what is new since the last look, and judges what does not cancel out.

Looks in an order in which nothing can be missing that is only on its way: first what the groups completed and
what is parked, then the ends of the histories, then of the lanes, at last of what comes in; each record is
then seen after everything that was written with it or because of it.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from confluent_kafka import Message

from connectors.audit.balance import Balance, IngressBalance, TierBalance
from connectors.audit.books import BLOCK, MINUTE_MS, Books, Place
from connectors.audit.contents import Contents, place_of
from connectors.audit.homes import Homes
from connectors.audit.judge import Finding
from connectors.audit.judging import Judging
from connectors.audit.parts import AT_ONCE
from connectors.audit.row_sums import RowSums
from connectors.kafka.reading import EDGE, Bound, Reader, Span
from schemas.records import DeadLetter, Job, Lifecycle
from schemas.tiers import Tier
from streams.codec import Codec
from streams.settings import KafkaSettings
from streams.topics import Topology

# A record's own time may be a little before the time at which its job was accepted.
MARGIN_MS = 10 * MINUTE_MS
MOST = 10_000
"""So many findings are named: where more is wrong, more names help nobody."""
_HORIZON_RECORDS = 50


class Ledger:
    """Blocks; used by one thread. UnavailableError when Kafka does not answer."""

    def __init__(self, kafka: KafkaSettings, codec: Codec, since: int = 0, at_once: int = AT_ONCE) -> None:
        topology = Topology.of(kafka)
        self._homes = Homes(kafka, topology)
        self._next: dict[Place, int] = {}
        self.reader = Reader(kafka, f"{topology.prefix}audit")
        self.books = Books(since)
        self._settled = {tier.value: TierBalance() for tier in Tier}
        self._contents = Contents(topology, codec)
        self._judging = Judging(self._contents, self._homes, self.reader, at_once)

    def close(self) -> None:
        """Let go of the connection."""
        self.reader.consumer.close()

    # -- reading

    def look(self, rows: RowSums | None = None, sink: Mapping[Place, int] | None = None) -> int:
        """Take in all that is new; how many records that was. Records before the positions of the `sink` also
        go into `rows`, on the first look only."""
        if not self._next:
            self._begin()
            if rows is not None:
                rows.since = max(rows.since, self.books.since)
        self._homes.look(self.reader)
        spans = [span for topics in self._order() for topic in topics for span in self._new(topic)]
        count = 0
        for batch in self.reader.read(spans):
            count += len(batch)
            for message in batch:
                self._take(message, rows, sink or {})
        return count

    def _order(self) -> Iterator[Iterable[str]]:
        yield (*self._contents.histories, *self._contents.letters)
        yield (*self._contents.lanes, self._contents.ingress_letters)
        yield self._contents.ingress

    def _begin(self) -> None:
        """Where each topic begins to count: at the time asked for, and not before its log's start."""
        counted = (*self._contents.histories, *self._contents.lanes, *self._contents.letters)
        edges = {topic: self.reader.spans(topic) for topic in counted}
        self.books.since = max(self.books.since, self._horizon(edges))
        if self.books.since % MINUTE_MS:
            self.books.since += MINUTE_MS - self.books.since % MINUTE_MS
        start = Bound(at=max(0, self.books.since - MARGIN_MS)) if self.books.since else EDGE
        for topics in self._order():
            for topic in topics:
                for span in self.reader.spans(topic, start):
                    self._next[topic, span.partition] = span.start
                    if topic in self._contents.ingress:
                        self.books.starts[topic, span.partition] = span.start

    def _horizon(self, edges: Mapping[str, list[Span]]) -> int:
        """From when on every partition still has its records: retention takes lane and history apart."""
        trimmed = [
            Span(span.topic, span.partition, span.start, min(span.end, span.start + _HORIZON_RECORDS))
            for spans in edges.values()
            for span in spans
            if span.start > 0
        ]
        firsts: dict[Place, int] = {}
        for batch in self.reader.read(trimmed):
            for message in batch:
                firsts.setdefault(place_of(message)[0], message.timestamp()[1])
        return max(firsts.values(), default=-MINUTE_MS) + MINUTE_MS

    def _new(self, topic: str) -> Iterator[Span]:
        for span in self.reader.spans(topic):
            place = (topic, span.partition)
            start = max(span.start, self._next.get(place, 0))
            self._next[place] = max(start, span.end)
            yield Span(topic, span.partition, start, span.end)

    def _take(self, message: Message, rows: RowSums | None, sink: Mapping[Place, int]) -> None:
        place, offset = place_of(message)
        if rows is not None and offset >= sink.get(place, 0):
            rows = None
        topic, contents = place[0], self._contents
        if topic in contents.ingress:
            what = contents.what(topic, message.value())
            if what is not None:
                self.books.request(place, offset, what)
        elif topic in contents.lanes:
            if (job := contents.decoded(Job, message)) is not None:
                self.books.routed(place, offset, job)
                if rows is not None:
                    rows.job(place, offset, job)
        elif topic in contents.histories:
            if (record := contents.decoded(Lifecycle, message)) is not None:
                self.books.history(place, offset, record)
                if rows is not None:
                    rows.history(place, offset, record)
        elif (letter := contents.decoded(DeadLetter, message)) is not None:
            self._take_letter(place, offset, letter)
            if rows is not None:
                rows.letter(place, offset, letter)

    def _take_letter(self, place: Place, offset: int, letter: DeadLetter) -> None:
        if place[0] in self._contents.letters:
            self.books.letter(place, offset, letter)
        elif letter.source_topic in self._contents.ingress:
            self.books.refused_letter(place, offset, letter, self._contents.refused(letter))

    def settle(self, before: int) -> None:
        """Close the books of what was accepted before a time (ms) and is accounted for: they need no memory.

        What comes to a closed bucket later opens it again, and is judged by itself.
        """
        for key, flow in list(self.books.flows.items()):
            if flow.closed and (key[2] + 1) * MINUTE_MS <= before:
                self._settled[key[0]].take(flow.came, flow.ends)
                del self.books.flows[key]
        last = {(topic, number): (next_ - 1) // BLOCK for (topic, number), next_ in self._next.items()}
        for block, pairs in list(self.books.ingress.items()):
            if pairs.closed and block[2] < last.get(block[:2], 0):
                del self.books.ingress[block]
        for key, pairs in list(self.books.letters.items()):
            if pairs.closed and (key[2] + 1) * MINUTE_MS <= before:
                del self.books.letters[key]

    # -- judging

    def judged(self) -> tuple[Balance, list[Finding]]:
        """The figures, and what should not be, `MOST` of it at most. Reads again where a bucket is open."""
        settled = {tier: msgspec.structs.replace(known) for tier, known in self._settled.items()}
        balance = Balance(IngressBalance(), settled)
        books, findings = self.books, list[Finding]()
        balance.buckets = len(books.flows) + len(books.ingress) + len(books.letters)
        for (tier, _, _), flow in books.flows.items():
            if flow.closed:
                balance.tiers[tier].take(flow.came, flow.ends)
        for finding in self._judging.findings(books, balance):
            if len(findings) < MOST:
                findings.append(finding)
        return balance, sorted(findings, key=str)
