"""What must be true after a run, counted from the topics, the rows and the provider's own account."""

import itertools
import json
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.kafka.registry import codec
from schemas.records import DeadLetter, Lifecycle
from schemas.states import TERMINAL
from schemas.tiers import Tier
from streams.topics import Topology
from tests.chaos.load import Sent
from tests.chaos.surroundings import Surroundings

_BATCH = 2_000
_TERMINAL = frozenset(TERMINAL)
# A broker that came back a moment ago does not lead yet.
_ASK_LIMIT_S = 60.0


@dataclass
class Ends:
    """What the lifecycle topics tell: how often each job ended, in which state, in which order.

    `last` is the newest transition of a job, whatever it was; `series` counts the ends of each of its series.
    """

    ended: Counter[str] = field(default_factory=Counter)
    series: Counter[tuple[str, int]] = field(default_factory=Counter)
    state: dict[str, str] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """All zero when every promise held; `naive_*` must not be."""

    lost: int
    ended_twice: int
    out_of_order: int
    rows_missing: int
    rows_wrong: int
    paid_twice: int
    paid_wrongly: int
    poison_lost: int
    poison_twice: int
    naive_sink: int
    naive_worker: int

    @property
    def holds(self) -> bool:
        """Nothing of ours is wrong."""
        return not self.broken()

    def broken(self) -> dict[str, int]:
        """The promises that did not hold, with their counts."""
        return {k: v for k, v in vars(self).items() if v and not k.startswith("naive")}


class Follower:
    """Reads the committed lifecycle records, each once: every `read` goes on where the last one stopped."""

    def __init__(self, around: Surroundings) -> None:
        self.ends = Ends()
        self._around, self._codec = around, codec(around.kafka)
        topology = Topology.of(around.kafka)
        self._stands = {topology.lifecycle(tier): dict[int, int]() for tier in Tier}

    def read(self) -> None:
        """Up to the end as it is now."""
        for topic, stands in self._stands.items():
            for message in _read(self._around, topic, stands):
                self._take(self._codec.decode(Lifecycle, message.value() or b""))

    def _take(self, record: Lifecycle) -> None:
        ends = self.ends
        for transition in record.transitions:
            ends.last[record.job_id] = f"{transition.to_state}, attempt {transition.attempt}"
            if transition.to_state in _TERMINAL:
                ends.ended[record.job_id] += 1
                ends.series[record.job_id, record.series] += 1
                ends.state[record.job_id] = transition.to_state
                ends.order.append(record.job_id)


def judge(around: Surroundings, sent: Sent, ends: Ends) -> Verdict:
    """Count everything."""
    rows = _rows(around)
    money = [job_id for job_id, tier in sent.accepted.items() if tier == Tier.CRITICAL]
    paid = _payments(around)
    poison = _poison(around)
    completed = {sent.payments[job_id] for job_id in money if ends.state.get(job_id) == "completed"}
    return Verdict(
        lost=sum(not ends.ended[job_id] for job_id in sent.accepted),
        ended_twice=_ended_twice(sent, ends),
        out_of_order=_out_of_order(sent, ends),
        rows_missing=sum(job_id not in rows for job_id in money),
        rows_wrong=sum(rows[job_id] != ends.state.get(job_id) for job_id in money if job_id in rows),
        paid_twice=sum(count > 1 for count in paid.values()),
        paid_wrongly=len(completed - set(paid)),
        poison_lost=sum(not poison[value] for value in sent.poison),
        poison_twice=sum(poison[value] > 1 for value in sent.poison),
        naive_sink=_naive(around, "naive_rows"),
        naive_worker=_naive(around, "naive_effects"),
    )


def _ended_twice(sent: Sent, ends: Ends) -> int:
    """A job that died and was handed in again is another series (docs/guarantees.md); each ends once."""
    twice = {job_id for (job_id, _), count in ends.series.items() if count > 1}
    again = {job_id for job_id, count in ends.ended.items() if count > 1} - sent.repeated
    return len(twice | again)


def _out_of_order(sent: Sent, ends: Ends) -> int:
    place = {job_id: number for number, job_id in enumerate(ends.order)}
    found = 0
    for edits in sent.edits.values():
        places = [place[job_id] for job_id in edits if job_id in place]
        found += sum(later < earlier for earlier, later in itertools.pairwise(places))
    return found


def _rows(around: Surroundings) -> dict[str, str]:
    with psycopg.connect(around.services.state.database_url) as connection:
        return dict(connection.execute("select job_id, state from jobs").fetchall())


def _naive(around: Surroundings, table: str) -> int:
    """Records without a row, and rows too many."""
    ends = dict(_positions(around, Topology.of(around.kafka).events))
    with psycopg.connect(around.services.state.database_url) as connection:
        query = f"select partition, count(*), count(distinct at), max(at) from {table} group by 1"
        try:
            found = connection.execute(query).fetchall()
        except psycopg.errors.UndefinedTable:
            return -1
    wrong = 0
    for partition, rows, places, last in found:
        wrong += rows - places + max(0, min(last + 1, ends.get(partition, 0)) - places)
    return wrong


def _payments(around: Surroundings) -> Counter[str]:
    with urllib.request.urlopen(f"{around.stripe_url}/_control", timeout=30) as answer:
        account = json.load(answer)
    return Counter(p["metadata"]["event_id"] for p in account["payments"] if p["status"] == "succeeded")


def _poison(around: Surroundings) -> Counter[bytes]:
    letters = codec(around.kafka)
    topic = Topology.of(around.kafka).ingress_dead_letters
    records = (letters.decode(DeadLetter, m.value() or b"") for m in _read(around, topic))
    return Counter(letter.value or b"" for letter in records)


def _positions(around: Surroundings, topic: str) -> list[tuple[int, int]]:
    """The ends of the partitions, where a read_committed reader stops; asked until every leader answers."""
    deadline = time.monotonic() + _ASK_LIMIT_S
    while True:
        consumer = _consumer(around)
        try:
            numbers = consumer.list_topics(topic, timeout=20).topics[topic].partitions
            marks = [
                (n, consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=20)) for n in numbers
            ]
            return [(number, mark[1]) for number, mark in marks if mark is not None]
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        finally:
            consumer.close()


def _read(around: Surroundings, topic: str, stands: dict[int, int] | None = None) -> list[Message]:
    """All committed records from where it stands, from the beginning without; it then stands at the end."""
    stands = {} if stands is None else stands
    left = {number: end for number, end in _positions(around, topic) if end > stands.get(number, 0)}
    if not left:
        return []
    consumer = _consumer(around)
    consumer.assign([TopicPartition(topic, number, stands.get(number, 0)) for number in left])
    ends = dict(left)
    stands.update(ends)
    found: list[Message] = []
    while left:
        for message in consumer.consume(_BATCH, 1.0):
            number, offset, error = message.partition() or 0, message.offset() or 0, message.error()
            if error is None and offset < ends[number]:
                found.append(message)
            # The last records may be markers, which nobody is given.
            is_end = error is not None and error.code() == KafkaError._PARTITION_EOF
            if offset >= ends[number] - (not is_end):
                left.pop(number, None)
    consumer.close()
    return found


def _consumer(around: Surroundings) -> Consumer:
    return Consumer(
        {
            **around.kafka.client(), "group.id": "chaos-verdict", "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )  # fmt: skip
