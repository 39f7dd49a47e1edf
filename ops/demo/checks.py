"""What the demo expects, by name, and what it found."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation. `found` says in one line what there was."""

    name: str
    ok: bool
    found: str


def equal(name: str, found: object, expected: object) -> Check:
    """The two are the same."""
    if found == expected:
        return Check(name, True, short(found))
    return Check(name, False, f"{short(found)}, expected {short(expected)}")


def none_of(name: str, what: str, wrong: Iterable[object], of: int) -> Check:
    """Nothing is wrong with any of so many."""
    listed = list(wrong)
    if not listed and of:
        return Check(name, True, f"{of} {what}")
    shown = "; ".join(map(str, listed[:3])) or "there are none"
    return Check(name, False, f"{len(listed)} of {of} {what}: {shown}")


def close(one: object, other: object) -> bool:
    """The same value; numbers within what the order of additions changes."""
    numbers = (int, float)
    if isinstance(one, numbers) and isinstance(other, numbers):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other


def short(value: object) -> str:
    """A value in one short line."""
    text = str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
