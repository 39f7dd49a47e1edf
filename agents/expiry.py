"""Frees the disk of idempotency keys whose retention is over: slowly, all the time, by tombstones.

An expired entry counts as absent long before it is removed. No TTL of the store: a recovery from the
changelog would bring the keys back.
"""

from itertools import islice

from agents.tables import IdempotencyTable
from streams.transport.app import EngineApp

# Removed is only what expired this long ago: a clock that was set forward for a while costs no key.
GRACE_MS = 24 * 3_600_000
KEYS_AT_ONCE = 100
EVERY_S = 0.2
# A table that is gone through rests: what is kept for days need not be looked at every second.
REST_S = 3_600.0


class Expiry:
    """Goes through the keys of each partition, at most 500 in a second, and begins anew after a rest."""

    def __init__(self, app: EngineApp, table: IdempotencyTable) -> None:
        self._app, self._table = app, table
        self._next: dict[int, tuple[float, bytes]] = {}

    def forget(self, partition: int) -> None:
        """The partition goes."""
        self._next.pop(partition, None)

    def go_on(self, partition: int, now: int, steady_s: float) -> int:
        """The next few keys, if it is time for them; how many were removed. The partition is open."""
        due_s, start = self._next.get(partition, (0.0, b""))
        if steady_s < due_s:
            return 0
        page = list(islice(self._table.scan(partition, start), KEYS_AT_ONCE))
        expired = [key for key, entry in page if entry.expires_at <= now - GRACE_MS]
        if expired:
            with self._app.step(partition):
                for key in expired:
                    self._table.remove(key)
        is_over = len(page) < KEYS_AT_ONCE
        self._next[partition] = (
            (steady_s + REST_S, b"") if is_over else (steady_s + EVERY_S, page[-1][0] + b"\0")
        )
        return len(expired)
