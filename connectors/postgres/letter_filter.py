"""Which dead letters are meant, and the condition that says so in SQL."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal

import msgspec

Fate = Literal["open", "redriven", "all"]


class LetterFilter(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is None does not count. `since` and `until` bound the last failure (`until` is not included).

    `fate` open: nobody has re-driven the letter yet.
    """

    ids: list[str] | None = None
    queue: str | None = None
    type: str | None = None
    tier: int | None = None
    error_class: str | None = None
    fingerprint: str | None = None
    job_id: str | None = None
    document_id: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    fate: Fate = "open"


_CONDITIONS = {
    "ids": "l.letter_id = any(%(ids)s)",
    "since": "l.last_failed_at >= %(since)s",
    "until": "l.last_failed_at < %(until)s",
    **{
        name: f"l.{name} = %({name})s"
        for name in (
            "queue", "type", "tier", "error_class", "fingerprint", "job_id", "document_id", "user_id",
            "tenant_id",
        )
    },
}  # fmt: skip
_TAKEN = (
    "exists (select from dead_letter_redrives taken where taken.letter_id = l.letter_id"
    " and taken.state <> 'refused')"
)
_FATES = {"open": [f"not {_TAKEN}"], "redriven": [_TAKEN], "all": []}


def condition(asked: LetterFilter, tenants: Collection[str] | None) -> tuple[str, dict[str, Any]]:
    """The condition on `dead_letter_jobs l` and its values; `tenants` None means every tenant's."""
    values = {name: value for name in _CONDITIONS if (value := getattr(asked, name)) is not None}
    parts = [_CONDITIONS[name] for name in values] + _FATES[asked.fate]
    if tenants is not None:
        parts.append("l.tenant_id = any(%(tenants)s)")
        values["tenants"] = sorted(tenants)
    return " and ".join(parts) or "true", values
