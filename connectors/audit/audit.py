"""The whole audit: the topics against each other, and tier 1 and the dead letters against Postgres."""

import time
from collections.abc import Callable
from itertools import islice

import msgspec

from connectors.audit.balance import Balance
from connectors.audit.books import MINUTE_MS
from connectors.audit.judge import Finding
from connectors.audit.ledger import MOST, Ledger
from connectors.audit.parts import AT_ONCE
from connectors.audit.row_check import RowCheck
from connectors.audit.row_sums import RowSums
from connectors.audit.snapshot import Snapshot
from connectors.postgres.months import KEEP_DAYS
from connectors.postgres.sink import record_types
from schemas.tiers import DAY_MS
from streams.codec import Codec
from streams.settings import KafkaSettings
from streams.topics import Topology

# A transaction that is open hides what was committed behind it; the brokers end it after ten seconds.
SETTLE_S = 12.0


class Report(msgspec.Struct, rename="camel"):
    """What an audit found. `since` (ms): jobs accepted before it did not count."""

    since: int
    records: int
    rows: int
    seconds: float
    balance: Balance
    findings: list[Finding]

    @property
    def clean(self) -> bool:
        """Whether there is nothing to be found."""
        return not self.findings and self.balance.holds


def audit(
    kafka: KafkaSettings,
    codec: Codec,
    database_url: str | None,
    since: int = 0,
    sleep: Callable[[float], None] = time.sleep,
    at_once: int = AT_ONCE,
) -> Report:
    """Audit everything accepted since a time; without a database only the topics. Blocks.

    Works while the system runs: what is on its way is pending. Names `MOST` findings of the topics and as
    many of Postgres. `at_once` bounds memory (see `parts`). UnavailableError when a service is away.
    """
    began = time.monotonic()
    ledger = Ledger(kafka, codec, since, at_once)
    try:
        if database_url is None:
            records, rows, wrong = ledger.look(), 0, list[Finding]()
        else:
            records, rows, wrong = _against_postgres(ledger, codec, kafka, database_url, at_once)
        balance, findings = ledger.judged()
        if findings:
            sleep(SETTLE_S)
            records += ledger.look()
            before = {finding.name for finding in findings}
            balance, again = ledger.judged()
            findings = [finding for finding in again if finding.name in before]
    finally:
        ledger.close()
    found = sorted(findings + wrong, key=str)
    return Report(ledger.books.since, records, rows, time.monotonic() - began, balance, found)


def _against_postgres(
    ledger: Ledger, codec: Codec, kafka: KafkaSettings, database_url: str, at_once: int
) -> tuple[int, int, list[Finding]]:
    """The first look, and what Postgres holds at its moment: the offsets before the ends of the log."""
    kept_since = time.time_ns() // 1_000_000 - KEEP_DAYS * DAY_MS
    sums = RowSums(since=-(-kept_since // MINUTE_MS) * MINUTE_MS)
    with Snapshot(database_url) as snapshot:
        sink = snapshot.positions()
        records = ledger.look(sums, sink)
        check = RowCheck(snapshot, ledger.reader, codec, record_types(Topology.of(kafka)), at_once)
        wrong = list(islice(check.findings(sums, sink), MOST))
    return records, sum(one.count for one in sums.sums.values()), wrong
