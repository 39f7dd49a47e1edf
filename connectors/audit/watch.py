"""The ledger as metrics: looks again and again, and exports the figures and what is wrong."""

import threading
import time
from collections import Counter

import msgspec
from prometheus_client import CollectorRegistry

from connectors.audit.books import MINUTE_MS
from connectors.audit.judge import Finding
from connectors.audit.ledger import Ledger
from schemas.errors import ConfigError, UnavailableError
from streams import metric_names as names
from streams.codec import Codec
from streams.log import get
from streams.settings import KafkaSettings

log = get(__name__)

INTERVAL_S = 30.0
# A monitor that starts does not read a year of history: `tierflow audit` does.
BACK_MS = 60 * MINUTE_MS
_SETTLED_AFTER_MS = 10 * MINUTE_MS
_KINDS = ("missing", "extra", "differing")
_NAMED = 20


class LedgerWatch:
    """Exports the ledger's figures. `run` blocks, in a thread of its own."""

    def __init__(self, kafka: KafkaSettings, codec: Codec, registry: CollectorRegistry) -> None:
        self._kafka, self._codec = kafka, codec
        self._jobs = names.LEDGER_JOBS.gauge(registry)
        self._ingress = names.LEDGER_INGRESS.gauge(registry)
        self._findings = names.LEDGER_FINDINGS.gauge(registry)
        self._took = names.LEDGER_READING.gauge(registry)
        self._read_at = names.LEDGER_READ_AT.gauge(registry)
        self._ledger: Ledger | None = None
        self._before: set[tuple[str, ...]] = set()
        self._told: set[tuple[str, ...]] = set()

    def run(self, stop: threading.Event, interval_s: float = INTERVAL_S) -> None:
        """Look until `stop`."""
        while not stop.is_set():
            began = time.monotonic()
            try:
                self.look()
            except (UnavailableError, ConfigError) as error:
                log.warning("the ledger cannot be read", reason=str(error))
                self.close()
            except Exception:
                # Its thread is the only one: what a look did not expect must not end all that follow.
                log.exception("the ledger failed, beginning anew")
                self.close()
            # A large backlog is judged job by job at each look: a tenth of a core at most.
            stop.wait(max(interval_s, 9 * (time.monotonic() - began)))
        self.close()

    def look(self) -> None:
        """Take in what is new, judge, export. UnavailableError."""
        began, now = time.monotonic(), time.time_ns() // 1_000_000
        ledger = self._ledger = self._ledger or Ledger(self._kafka, self._codec, now - BACK_MS)
        ledger.look()
        balance, findings = ledger.judged()
        ledger.settle(now - _SETTLED_AFTER_MS)
        for tier, figures in balance.tiers.items():
            for name, count in msgspec.structs.asdict(figures).items():
                self._jobs.labels(str(tier), name).set(count)
        for name, count in msgspec.structs.asdict(balance.ingress).items():
            self._ingress.labels(name).set(count)
        self._tell(findings)
        self._took.set(time.monotonic() - began)
        self._read_at.set(time.time())

    def close(self) -> None:
        """Begin anew at the next look."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
        self._before.clear()

    def _tell(self, findings: list[Finding]) -> None:
        """Count what was found twice: what an open transaction hides is there at the second look."""
        sure = [finding for finding in findings if finding.name in self._before]
        self._before = {finding.name for finding in findings}
        counts = Counter(finding.kind for finding in sure)
        for kind in _KINDS:
            self._findings.labels(kind).set(counts[kind])
        new = [finding for finding in sure if finding.name not in self._told]
        for finding in new[:_NAMED]:
            log.error("the ledger does not balance", finding=str(finding))
        self._told = {finding.name for finding in sure}
