"""Jobs found by what they are about, the latest first: the statement for each way to ask; pure."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec

from schemas.states import State


class JobFilter(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is None does not count; `since` and `until` bound the acceptance (`until` is not included)."""

    queue: str | None = None
    type: str | None = None
    state: State | None = None
    document_id: str | None = None
    user_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


_SHOWN = (
    "job_id, series, queue, type, tier, state, accepted_at, priority, attempts, max_attempts, processed_at,"
    " finished_at, document_id, user_id, tenant_id, request_id"
)
_CONDITIONS = {
    "since": "accepted_at >= %(since)s",
    "until": "accepted_at < %(until)s",
    **{name: f"{name} = %({name})s" for name in ("queue", "type", "state", "document_id", "user_id")},
}
# The index of open jobs is partial: a state of its own proves to the planner that it serves.
_ENDED = frozenset({State.COMPLETED, State.DUPLICATE, State.CANCELLED})
_OPEN = "state not in ('completed', 'duplicate', 'cancelled')"


def search(
    asked: JobFilter,
    tenants: Collection[str] | None,
    *,
    after: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> tuple[str, dict[str, Any]]:
    """The statement and its values; `tenants` None means every tenant's, `after` the last job of a page."""
    values: dict[str, Any] = {
        name: value for name in _CONDITIONS if (value := getattr(asked, name)) is not None
    }
    parts = [_CONDITIONS[name] for name in values]
    if asked.state is not None and asked.state not in _ENDED:
        parts.append(_OPEN)
    if tenants is not None:
        # One is said as one: the index gives its jobs in the order asked for, of several it does not.
        one = len(tenants) == 1
        parts.append("tenant_id = %(tenants)s" if one else "tenant_id = any(%(tenants)s)")
        values["tenants"] = next(iter(tenants)) if one else sorted(tenants)
    if after is not None:
        parts.append("(accepted_at, job_id) < (%(at)s, %(job)s)")
        values["at"], values["job"] = after
    where = f" where {' and '.join(parts)}" if parts else ""
    query = f"select {_SHOWN} from jobs{where} order by accepted_at desc, job_id desc limit {limit:d}"
    return query, {name: str(v) if isinstance(v, State) else v for name, v in values.items()}
