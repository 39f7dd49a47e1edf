"""Idempotency keys are removed after their retention, a few at a time."""

from typing import Any, cast

import pytest

from agents import expiry
from agents.expiry import GRACE_MS, Expiry
from schemas.records import IdempotencyEntry
from tests.unit.agents.engine import MemoryApp, a_recording, metrics
from tests.unit.streams.core.builders import NOW


class Rig:
    """The table of partition 0 and what goes through it."""

    def __init__(self, keys: dict[bytes, int]) -> None:
        self.app = cast(Any, MemoryApp())
        self.table = a_recording(self.app, metrics()).idempotency
        with self.app.step(0):
            for key, expires_at in keys.items():
                self.table.put(key, IdempotencyEntry("job", b"hash", "completed", expires_at))
        self.expiry = Expiry(self.app, self.table)

    def left(self) -> list[bytes]:
        return [key for key, _ in self.table.scan(0, b"")]


LATE, FRESH = NOW - GRACE_MS, NOW - GRACE_MS + 1


def test_what_expired_long_ago_is_removed_and_nothing_else() -> None:
    rig = Rig({b"a": LATE, b"b": FRESH, b"c": LATE, b"d": NOW + 5})
    assert rig.expiry.go_on(0, NOW, 1.0) == 2
    assert rig.left() == [b"b", b"d"]
    assert rig.app.partition.tables["idempotency"].get(b"a") is None


def test_a_large_table_is_gone_through_in_pages_at_a_bounded_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "KEYS_AT_ONCE", 10)
    rig = Rig({b"%03d" % number: LATE for number in range(35)})
    removed = [rig.expiry.go_on(0, NOW, 1.0 + step * expiry.EVERY_S / 2) for step in range(9)]
    assert removed == [10, 0, 10, 0, 10, 0, 5, 0, 0]
    assert rig.left() == []


def test_after_a_rest_it_begins_anew() -> None:
    rig = Rig({b"a": FRESH})
    assert rig.expiry.go_on(0, NOW, 1.0) == 0
    assert rig.expiry.go_on(0, NOW + 1, 2.0) == 0
    assert rig.expiry.go_on(0, NOW + 1, 2.0 + expiry.REST_S) == 1


def test_a_partition_that_comes_back_is_begun_anew() -> None:
    rig = Rig({b"a": FRESH})
    rig.expiry.go_on(0, NOW, 1.0)
    rig.expiry.forget(0)
    assert rig.expiry.go_on(0, NOW + 1, 2.0) == 1
