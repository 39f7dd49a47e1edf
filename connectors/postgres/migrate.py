"""Migrations: plain SQL files in order, each in a transaction with the note that it was applied.

`NNNN_name.up.sql` goes forward, `NNNN_name.down.sql` back; numbers may have gaps. A session advisory lock
lets one migrator work at a time; the server releases it when its holder dies, so nothing is unlocked by hand.
A file that begins with `-- no-transaction` holds a single statement that refuses transactions
(CREATE INDEX CONCURRENTLY).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

import psycopg

from schemas.errors import ConfigError, UnavailableError

_NAME = re.compile(r"(\d{4})_(\w+)\.(up|down)\.sql")
_LOCK = 0x7469657266  # "tierf"
_CONNECT_S = 5
_JOURNAL = """
create table if not exists schema_migrations (
    number int primary key, name text not null, sha256 text not null,
    applied_at timestamptz not null default now())
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema, forward and back."""

    number: int
    name: str
    up: str
    down: str

    @property
    def sha256(self) -> str:
        """Of the forward file: an applied file must not change any more."""
        return hashlib.sha256(self.up.encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.number:04}_{self.name}"


def migrate(database_url: str, to: int | None = None) -> list[str]:
    """Bring the schema to migration `to` (the last one by default, 0: none), up or down; what was done.

    Repeatable, safe to run by several at once. Raises ConfigError when an applied file was changed or the
    database is ahead of this release, UnavailableError when it does not answer. Blocks.
    """
    migrations = read((file.name, file.read_text()) for file in (files(__package__) / "migrations").iterdir())
    try:
        with psycopg.connect(database_url, autocommit=True, connect_timeout=_CONNECT_S) as connection:
            # Its own session's lock: gone when the connection is.
            connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
            connection.execute(_JOURNAL)
            rows = connection.execute("select number, sha256 from schema_migrations").fetchall()
            applied: dict[int, str] = dict(rows)
            check(migrations, applied)
            return [_apply(connection, step, forward) for step, forward in plan(migrations, applied, to)]
    except psycopg.OperationalError as error:
        raise UnavailableError(f"Postgres does not answer: {error}") from error


def read(sources: Iterable[tuple[str, str]]) -> list[Migration]:
    """The migrations in files given by name and text; each needs both directions."""
    halves: dict[tuple[int, str], dict[str, str]] = {}
    for file, text in sources:
        if match := _NAME.fullmatch(file):
            halves.setdefault((int(match[1]), match[2]), {})[match[3]] = text
    for (number, name), half in halves.items():
        if half.keys() != {"up", "down"}:
            raise ConfigError(f"migration {number:04}_{name} needs an .up.sql and a .down.sql")
    found = [Migration(number, name, **half) for (number, name), half in sorted(halves.items())]
    numbers = [step.number for step in found]
    if len(set(numbers)) != len(numbers) or 0 in numbers:
        raise ConfigError(f"each migration needs a number of its own from 1 on: {', '.join(map(str, found))}")
    return found


def check(migrations: list[Migration], applied: Mapping[int, str]) -> None:
    """Refuse a database that other files made."""
    known = {step.number: step for step in migrations}
    for number, sha256 in sorted(applied.items()):
        if number not in known:
            raise ConfigError(f"the database has migration {number:04}, which this release does not know")
        if known[number].sha256 != sha256:
            raise ConfigError(f"migration {known[number]} was changed after it was applied: add a new one")


def plan(
    migrations: list[Migration], applied: Mapping[int, str], to: int | None
) -> list[tuple[Migration, bool]]:
    """The steps from what is applied to `to`; True means forward."""
    numbers = [0, *(step.number for step in migrations)]
    goal = numbers[-1] if to is None else to
    if goal not in numbers:
        raise ConfigError(f"there is no migration {goal}: choose one of {', '.join(map(str, numbers))}")
    up = [(step, True) for step in migrations if step.number <= goal and step.number not in applied]
    down = [(step, False) for step in reversed(migrations) if step.number > goal and step.number in applied]
    return [*down, *up]


def _apply(connection: psycopg.Connection[Any], step: Migration, forward: bool) -> str:
    text = step.up if forward else step.down
    alone = text.startswith("-- no-transaction")
    with nullcontext() if alone else connection.transaction():
        # The text is a file of ours, not input.
        connection.execute(cast(Any, text))
        if forward:
            connection.execute(
                "insert into schema_migrations (number, name, sha256) values (%s, %s, %s)",
                (step.number, step.name, step.sha256),
            )
        else:
            connection.execute("delete from schema_migrations where number = %s", (step.number,))
    return f"{step} {'up' if forward else 'down'}"
