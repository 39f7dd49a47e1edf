"""The audit line of an operator's action: who did what to what, under which request id.

A log line of its own logger, so that it can be kept apart; written before the answer, after the act.
"""

from typing import Any

from connectors.gateway.roles import Connection, identity_of
from streams.log import get

log = get("tierflow.audit")


def audited(connection: Connection, action: str, target: str, **details: Any) -> None:
    """Write the line. The request's id is bound to it already."""
    identity = identity_of(connection)
    said = {name: value for name, value in details.items() if value is not None}
    log.info("audit", action=action, target=target, by=identity.subject, role=identity.role.value, **said)
