"""Dead letters and re-drives as a terminal shows them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from connectors.gateway.failed_answer import LetterCount, LetterGroup, LetterStats
from connectors.gateway.job_answer import iso
from connectors.postgres.dead_letters import KeptLetter, LetterPage
from connectors.postgres.redrives import Run
from connectors.redrive.canary import Tally

_LINE = 16
_WIDE = 200


def _console(stderr: bool = False) -> Console:
    """As wide as the terminal; what goes into a file or another program is not cut."""
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=_WIDE)


def letters(page: LetterPage) -> None:
    """A page."""
    table = Table("id", "type", "last failed", "error", "message", "re-driven", box=None)
    for kept in page.letters:
        letter, again = kept.letter, kept.redriven
        table.add_row(
            *map(
                _plain,
                (
                    letter.letter_id, letter.type or letter.source_topic, iso(letter.last_failed_at),
                    letter.error_class, letter.message[:80],
                    f"by {again.by}: {again.outcome or 'sent'}" if again else "",
                ),
            )
        )  # fmt: skip
    _console().print(table)
    if page.cursor:
        _console(stderr=True).print(f"more: --cursor {page.cursor}")


def groups(found: list[LetterGroup]) -> None:
    """Groups, with what names them."""
    table = Table(box=None)
    for name in ("fingerprint", "letters", "open", "first seen", "last seen"):
        table.add_column(name, no_wrap=True)
    table.add_column("cause")
    for group in found:
        table.add_row(
            group.fingerprint, str(group.count), str(group.open), group.first_seen[:19], group.last_seen[:19],
            _plain(f"{', '.join(group.types)} {group.error_class}: {group.message[:60]}"),
        )  # fmt: skip
    _console().print(table)


def stats(found: LetterStats) -> None:
    """Figures."""
    console = _console()
    console.print(f"{found.total} dead letters, {found.open} open, {found.redriven} re-driven")
    _counts(console, "error class", found.by_error_class)
    _counts(console, "type", found.by_type)
    _counts(console, "hour", found.by_hour)


def letter(kept: KeptLetter) -> None:
    """All of one letter, the bytes as a hex dump."""
    one, console = kept.letter, _console()
    place = f"{one.source_topic}/{one.source_partition}/{one.source_offset}"
    facts = {
        "letter": one.letter_id, "job": one.job_id, "series": one.series, "queue": one.queue,
        "type": one.type, "tier": one.tier, "tenant": one.tenant_id, "user": one.user_id,
        "document": one.document_id, "request": one.request_id, "trace": one.traceparent, "record": place,
        "fingerprint": one.fingerprint, "first failed": iso(one.first_failed_at),
        "last failed": iso(one.last_failed_at), "error": f"{one.error_class}: {one.message}",
    }  # fmt: skip
    for name, value in facts.items():
        if value is not None:
            console.print(f"{name:>13}  {_plain(str(value))}")
    for error in one.errors:
        console.print(
            _plain(f"  attempt {error.attempt:>3}  {iso(error.at)} {error.error_class}: {error.message}")
        )
    if kept.redriven:
        again = kept.redriven
        console.print(_plain(f"    re-driven  by {again.by} at {iso(again.at)} as series {again.series}: "
                             f"{again.outcome or 'sent'} (run {again.run_id})"))  # fmt: skip
    console.print(f"{'data':>13}  {_plain(one.data or '-')}", soft_wrap=True)
    for name, header in one.headers.items():
        console.print(f"{'header':>13}  {_plain(f'{name}: {header!r}')}")
    _bytes(console, "key", one.key)
    _bytes(console, "value", one.value)


def run(ended: Run, problems: list[tuple[str, str]]) -> None:
    """How a re-drive ended."""
    tally, console = ended.tally, _console()
    reason = f": {ended.reason}" if ended.reason else ""
    console.print(_plain(f"run {ended.run_id} {ended.state}{reason}"))
    console.print(
        f"{tally.total} letters: {tally.sent} sent, {tally.completed} completed, {tally.failing} failed "
        f"again, {tally.undecided} undecided, {tally.refused} could not be sent"
    )
    for letter_id, problem in problems:
        console.print(_plain(f"  {letter_id}: {problem}"))


@contextmanager
def progress(tally: Tally, *, quiet: bool) -> Iterator[Callable[[Tally], None]]:
    """A bar on standard error, moved by the tallies that it is given."""
    bar = Progress(
        TextColumn("re-driving"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[fate]}"),
        TimeRemainingColumn(), console=Console(stderr=True), disable=quiet,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=tally.total, fate="")

        def update(now: Tally) -> None:
            fate = f"{now.completed} completed, {now.failing} failing"
            bar.update(task, completed=now.sent + now.refused, fate=fate)

        yield update


def _counts(console: Console, name: str, counts: list[LetterCount]) -> None:
    table = Table(name, "letters", "last failed", box=None)
    for count in counts:
        table.add_row(_plain(count.name), str(count.count), count.last_failed_at)
    console.print(table)


def _bytes(console: Console, name: str, raw: bytes | None) -> None:
    if raw is None:
        console.print(f"{name:>13}  none")
        return
    console.print(f"{name:>13}  {len(raw)} bytes")
    for at in range(0, len(raw), _LINE):
        part = raw[at : at + _LINE]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        console.print(f"{at:>13x}  {part.hex(' '):<{3 * _LINE}} {_plain(text)}")


def _plain(text: str) -> str:
    """A stranger's text: neither rich's markup nor control characters of the terminal."""
    return escape("".join(c if c.isprintable() else "\ufffd" for c in text))
