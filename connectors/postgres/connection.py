"""One connection to Postgres for a writer that must never hang and never leave a transaction open."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import psycopg

from connectors.consuming.target import TargetAwayError

CONNECT_TIMEOUT_S = 5
# A writer that is stopped inside a transaction holds the rows of sink_offsets for at most this long.
IDLE_IN_TRANSACTION_S = 10
STATEMENT_S = 60
# The server may be frozen rather than dead: then nothing on the socket ever tells.
PATIENCE_S = 75.0
# What the data itself caused (bad values, constraints, limits of the program): no other attempt helps.
_DATA_CLASSES = frozenset({"22", "23", "54"})


def connect(database_url: str, application_name: str) -> psycopg.Connection[Any]:
    """Open a connection whose transactions the server ends when we stand still. TargetAwayError."""
    try:
        connection = psycopg.connect(
            database_url,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name=application_name,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=20_000,
            prepare_threshold=2,
        )
        with connection.transaction():
            connection.execute(f"set idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_S}s'")
            connection.execute(f"set statement_timeout = '{STATEMENT_S}s'")
            # Nothing is known of what is staged: its cost is overrated, and to compile takes longer.
            connection.execute("set jit = off")
    except psycopg.Error as error:
        raise TargetAwayError(f"no connection to Postgres: {one_line(error)}") from error
    return connection


def caused_by_data(error: psycopg.Error) -> bool:
    """Whether the rows are to blame, and not the server or the way to it."""
    return (error.sqlstate or "")[:2] in _DATA_CLASSES


def one_line(error: Exception) -> str:
    """The error's text for a log line."""
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def patience(connection: psycopg.Connection[Any], seconds: float = PATIENCE_S) -> Iterator[None]:
    """Cut the connection when the block takes longer: what waits in it fails as if the server had gone."""
    timer = threading.Timer(seconds, _cut, (connection,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(connection: psycopg.Connection[Any]) -> None:
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as wire,
    ):
        wire.shutdown(socket.SHUT_RDWR)
