"""Replays on the terminal: a progress bar, and records as lines of JSON."""

import base64
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
from confluent_kafka import Message
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from connectors.kafka.replay_selection import Selector


@contextlib.contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error that is told how many offsets it advances; nothing when that is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda advance: progress.update(task, advance=advance)


def line(message: Message, selector: Selector) -> str:
    """A record as one line of JSON; bytes that are no record of ours in base64."""
    value, key = message.value(), message.key()
    record = selector.decoded(value) if isinstance(value, bytes) else None
    given = cast(list[tuple[str, Any]], message.headers() or [])
    headers = {name: _text(text) for name, text in given}
    shown = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": message.timestamp()[1],
        "key": _text(key),
        "headers": headers,
        **({"record": record} if record is not None else {"value": _text(value)}),
    }
    return msgspec.json.encode(shown).decode()


def _text(raw: str | bytes | None) -> str | None:
    """The text of bytes, or `base64:` and them."""
    if not isinstance(raw, bytes):
        return raw
    with contextlib.suppress(UnicodeDecodeError):
        return raw.decode()
    return "base64:" + base64.b64encode(raw).decode()
