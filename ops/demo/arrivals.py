"""What an address got, against what is promised: SMTP deduplicates nothing, so there may be copies.

Each completed job's message is there, under the Message-ID that its result names, and more than once only
when an attempt ended without anyone knowing what became of it.
"""

from collections.abc import Sequence

from ops.demo.gateway import Json, data_of

# After these the message may have been taken: the next attempt sends it again.
_UNKNOWN = ("outcome_unknown", "timeout")


def amiss(job: Json, message_ids: Sequence[str]) -> str | None:
    """What is wrong with the messages of a job's address, in one line; None when it is as promised."""
    if job["state"] != "completed":
        return f"the job is {job['state']}"
    if not message_ids:
        return "nothing arrived"
    if set(message_ids) != {named := (data_of(job) or {}).get("messageId")}:
        return f"arrived as {sorted(set(message_ids))}, the job names {named}"
    if len(message_ids) - 1 > (unknown := unknown_ends(job)):
        return f"arrived {len(message_ids)} times, {unknown} attempts ended unknown"
    return None


def unknown_ends(job: Json) -> int:
    """How many attempts may have sent the message without this being known when the next one began."""
    return interruptions(job) + sum(failed in _UNKNOWN for failed in failures(job))


def interruptions(job: Json) -> int:
    """How often its worker went away, or its partition moved, while it ran."""
    return sum(
        change["state"] == "active" and change.get("reason") == "interrupted" for change in _timeline(job)
    )


def failures(job: Json) -> list[str]:
    """The error class of each attempt that failed and was followed by another."""
    return [change["error"]["class"] for change in _timeline(job) if change["state"] == "failed"]


def _timeline(job: Json) -> list[Json]:
    changes: list[Json] = job.get("timeline", [])
    return changes
