"""A handler's context without a worker: a document in memory, progress and live updates as lists."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.context import Context
from agents.providers import Providers
from agents.spreadsheet.workbooks import Workbooks
from schemas.records import Job

ACCEPTED_AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z


@dataclass
class MemoryDocument:
    """A document; `written` is what the attempt wrote."""

    contents: dict[str, str] = field(default_factory=dict)
    written: dict[str, str | None] = field(default_factory=dict)
    partition: int = 0
    tenant_id: str | None = None
    id: str = "doc"

    def cells(self) -> Mapping[str, str]:
        """Every cell, the attempt's writes included."""
        now = {**self.contents, **self.written}
        return {cell: content for cell, content in now.items() if content is not None}

    def write(self, cell_id: str, content: str | None) -> None:
        """Set a cell's content."""
        self.written[cell_id] = content


def job(kind: str = "cell_update", **changes: Any) -> Job:
    """A job of a kind."""
    given: dict[str, Any] = {
        "job_id": "01900000-0000-7000-8000-000000000001", "series": 0, "queue": "events", "type": kind,
        "tier": 2, "priority": 5, "data": "{}", "data_hash": b"", "ordering_key": "doc",
        "accepted_at": ACCEPTED_AT, "attempts": 3, "backoff": "fixed", "backoff_delay_ms": 0,
        "backoff_max_ms": 0, "backoff_jitter": False, "timeout_ms": 30_000, "source_topic": "t",
        "source_partition": 0, "source_offset": 0, "document_id": "doc",
    }  # fmt: skip
    return Job(**{**given, **changes})


@dataclass
class Told:
    """What a handler reported."""

    progress: list[tuple[int, str | None, str | None]] = field(default_factory=list)

    def __call__(self, percentage: int, stage: str | None, message: str | None) -> None:
        """One report."""
        self.progress.append((percentage, stage, message))

    @property
    def stages(self) -> list[str | None]:
        """The stages in order, each once."""
        return list(dict.fromkeys(stage for _, stage, _ in self.progress))


def context(
    of: Job | None = None,
    *,
    document: MemoryDocument | None = None,
    providers: Providers | None = None,
    workbooks: Workbooks | None = None,
    attempt: int = 1,
) -> Context:
    """A context for one attempt."""
    return Context(
        job=of or job(),
        attempt=attempt,
        interruptions=0,
        providers=providers or Providers(),
        document=document or MemoryDocument(),
        workbooks=workbooks or Workbooks(),
        report=Told(),
        now=lambda: ACCEPTED_AT,
    )
