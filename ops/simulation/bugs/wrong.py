"""What a planted bug is, and wrong versions that fit many places."""

from collections.abc import Callable
from typing import Any

Mutation = tuple[Any, str, Callable[[Any], Any]]
"""Where, which name, and the wrong version made from the right one."""


def no(right: Any) -> Any:
    """Answers no."""
    return lambda *_: False


def unlisted(forgets: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """A row that is not found by a hint: only its key still shows it."""

    def wrong(right: Any) -> Any:
        def entries_of(place: bytes, row: Any) -> tuple[bytes, ...]:
            entries: tuple[bytes, ...] = right(place, row)
            return entries[1:] if forgets(row) else entries

        return entries_of

    return wrong


def unseen(forgets: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """A row that its key does not show."""

    def wrong(right: Any) -> Any:
        def entries_of(place: bytes, row: Any) -> tuple[bytes, ...]:
            entries: tuple[bytes, ...] = right(place, row)
            return (entries[0], entries[2]) if forgets(row) else entries

        return entries_of

    return wrong


def nobody(right: Any) -> Any:
    """Does nothing."""
    return lambda *_: None
