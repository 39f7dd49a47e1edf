"""Dead letters as lines of JSON or CSV, for a spreadsheet or another program."""

import base64
import csv
import io
from collections.abc import AsyncIterator
from typing import Any, Literal

import msgspec

from connectors.gateway.job_answer import iso
from connectors.postgres.dead_letters import KeptLetter

Format = Literal["csv", "jsonl"]
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
COLUMNS = (
    "id", "tier", "jobId", "series", "queue", "type", "errorClass", "message", "fingerprint", "attempts",
    "firstFailedAt", "lastFailedAt", "tenantId", "userId", "documentId", "requestId", "traceparent",
    "sourceTopic", "sourcePartition", "sourceOffset", "data", "redrivenBy", "redrivenAt", "redrivenSeries",
    "outcome",
)  # fmt: skip
# A cell that begins so is a formula to a spreadsheet, also after blanks; a quote in front makes it a text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


async def lines(letters: AsyncIterator[KeptLetter], kind: Format) -> AsyncIterator[bytes]:
    """The file's lines, one letter at a time."""
    if kind == "csv":
        yield _row(COLUMNS)
    async for kept in letters:
        yield csv_line(kept) if kind == "csv" else json_line(kept)


def json_line(kept: KeptLetter) -> bytes:
    """Everything, the original key and value in base64."""
    letter = kept.letter
    members = {
        **facts(kept),
        "errors": [msgspec.structs.asdict(error) for error in letter.errors],
        "headers": {name: value.decode(errors="replace") for name, value in letter.headers.items()},
        "key": base64_of(letter.key),
        "value": base64_of(letter.value),
    }
    return msgspec.json.encode(members) + b"\n"


def csv_line(kept: KeptLetter) -> bytes:
    """What fits into cells; texts that a spreadsheet would take for formulas are quoted."""
    said = facts(kept)
    return _row(tuple(safe_cell(said[name]) for name in COLUMNS))


def facts(kept: KeptLetter) -> dict[str, Any]:
    """A letter's plain members, by column."""
    letter, again = kept.letter, kept.redriven
    return {
        "id": letter.letter_id, "tier": letter.tier, "jobId": letter.job_id, "series": letter.series,
        "queue": letter.queue, "type": letter.type, "errorClass": letter.error_class,
        "message": letter.message, "fingerprint": letter.fingerprint, "attempts": len(letter.errors),
        "firstFailedAt": iso(letter.first_failed_at), "lastFailedAt": iso(letter.last_failed_at),
        "tenantId": letter.tenant_id, "userId": letter.user_id, "documentId": letter.document_id,
        "requestId": letter.request_id, "traceparent": letter.traceparent,
        "sourceTopic": letter.source_topic, "sourcePartition": letter.source_partition,
        "sourceOffset": letter.source_offset, "data": letter.data,
        "redrivenBy": again and again.by, "redrivenAt": iso(again.at) if again else None,
        "redrivenSeries": again and again.series, "outcome": again and again.outcome,
    }  # fmt: skip


def safe_cell(value: Any) -> Any:
    """A cell's value that no spreadsheet runs."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return value


def base64_of(raw: bytes | None) -> str | None:
    """Bytes as text."""
    return None if raw is None else base64.b64encode(raw).decode()


def _row(cells: tuple[Any, ...]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().encode("utf-8", "replace")
