"""What a handler is given: its job, its providers, its document, and ways to say how far it is."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from agents.cancellation import Cancellation
from agents.child_jobs import child_job
from schemas.payloads.contract import Contract
from schemas.records import Job, JobRequest
from streams import log

if TYPE_CHECKING:
    # Their clients are of no use to a handler that runs in a process, and take a while to import.
    from agents.providers import Providers
    from agents.spreadsheet.workbooks import Workbooks

LOG = log.get("tierflow.handler")
Report = Callable[[int, str | None, str | None], None]


class Document(Protocol):
    """The cells of the job's document. Writes become visible with the attempt's outcome, or not at all."""

    partition: int
    tenant_id: str | None
    id: str

    def cells(self) -> Mapping[str, str]:
        """Every cell's content by id: a JSON text (`12`, `"=A1*2"`)."""

    def write(self, cell_id: str, content: str | None) -> None:
        """Set a cell's content; None empties it."""


class Context(msgspec.Struct, eq=False):
    """One attempt of one job.

    `cancelled` is set when the attempt should stop: somebody cancelled the job, or its worker gives it up.
    What `submit` and `live` were given, and what was written to the document, leaves with the outcome, in the
    same transaction; of an attempt that fails nothing leaves.
    """

    job: Job
    attempt: int
    interruptions: int
    providers: "Providers"
    document: Document
    workbooks: "Workbooks"
    report: Report
    now: Callable[[], int]
    cancelled: Cancellation = msgspec.field(default_factory=Cancellation)
    # Most jobs have none of these; each is made when it is first asked for.
    _updates: list[tuple[str, dict[str, Any]]] | None = None
    _submitted: list[JobRequest] | None = None
    _log: Any = None

    @property
    def updates(self) -> list[tuple[str, dict[str, Any]]]:
        """What `live` was given."""
        if self._updates is None:
            self._updates = []
        return self._updates

    @property
    def submitted(self) -> list[JobRequest]:
        """What `submit` made of its jobs."""
        if self._submitted is None:
            self._submitted = []
        return self._submitted

    def take(self, submitted: list[JobRequest], updates: list[tuple[str, dict[str, Any]]]) -> None:
        """What the handler did with a context of its own, in another process."""
        self._submitted, self._updates = submitted, updates

    @property
    def idempotency_key(self) -> str:
        """What to send to a provider that deduplicates: the same for every attempt and series of one effect.

        At most 45 characters (Square's limit).
        """
        return f"tf-{self.job.idempotency.hex()}" if self.job.idempotency else f"tf-{self.job.job_id}"

    @property
    def log(self) -> Any:
        """A logger that names the job: `ctx.log.info("asked the bank", status=200)`."""
        if self._log is None:
            self._log = LOG.bind(job_id=self.job.job_id, type=self.job.type, attempt=self.attempt)
        return self._log

    def progress(self, percentage: float, stage: str | None = None, message: str | None = None) -> None:
        """Say how far this attempt is: 0 to 100, a stage, a line for people. Whole numbers are told."""
        told = [None if text is None else str(text) for text in (stage, message)]
        self.report(int(max(0, min(100, percentage))), *told)

    def live(self, kind: str, payload: dict[str, Any]) -> None:
        """Tell the viewers of the job's document."""
        self.updates.append((str(kind), payload))

    def submit(
        self,
        kind: str,
        data: Contract | Mapping[str, Any],
        *,
        queue: str | None = None,
        key: str | None = None,
        delay: timedelta | None = None,
        run_at: datetime | None = None,
        priority: int | None = None,
        attempts: int | None = None,
        timeout: timedelta | None = None,
    ) -> str:
        """Add a child job, which leaves with this job's outcome; its id.

        The id is the same in every attempt that submits its children in the same order. `key` is its
        idempotency key. ContractError, at once, when it would be refused.
        """
        request = child_job(
            self.job, len(self.submitted), self.now(), kind, data, queue=queue, key=key, delay=delay,
            run_at=run_at, priority=priority, attempts=attempts, timeout=timeout,
        )  # fmt: skip
        self.submitted.append(request)
        return request.job_id
