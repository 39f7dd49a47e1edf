"""What a handler is given: its job, its providers, its document, and ways to say how far it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agents.providers import Providers
from agents.spreadsheet.workbooks import Workbooks
from schemas.records import Job


class Document(Protocol):
    """The cells of the job's document. Writes become visible with the attempt's outcome, or not at all."""

    partition: int
    tenant_id: str | None
    id: str

    def cells(self) -> Mapping[str, str]:
        """Every cell's content by id: a JSON text (`12`, `"=A1*2"`)."""

    def write(self, cell_id: str, content: str | None) -> None:
        """Set a cell's content; None empties it."""


@dataclass(slots=True)
class Context:
    """One attempt of one job.

    `idempotency_key` is what to send to a provider that deduplicates: the same for every attempt of the job.
    `live` tells the viewers of the job's document something (kind, payload); it leaves with the outcome.
    """

    job: Job
    attempt: int
    interruptions: int
    providers: Providers
    document: Document
    workbooks: Workbooks
    report: Callable[[int, str | None, str | None], None]
    log: Any
    updates: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def idempotency_key(self) -> str:
        """At most 45 characters (Square's limit), the same for every attempt and series of one effect."""
        return f"tf-{self.job.idempotency.hex()}" if self.job.idempotency else f"tf-{self.job.job_id}"

    def progress(self, percentage: int, stage: str | None = None, message: str | None = None) -> None:
        """Say how far this attempt is: 0 to 100, a stage, a line for people."""
        self.report(max(0, min(100, percentage)), stage, message)

    def live(self, kind: str, payload: dict[str, Any]) -> None:
        """Tell the viewers of the job's document."""
        self.updates.append((kind, payload))
