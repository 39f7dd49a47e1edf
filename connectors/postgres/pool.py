"""A pool of connections for asking, opened by whoever owns it; a server that is away is one error of ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from schemas.errors import UnavailableError

Connection = psycopg.AsyncConnection[Any]
_TIMEOUT_S = 2.0


class Pool:
    """Connections with autocommit. UnavailableError when Postgres does not answer."""

    def __init__(
        self, database_url: str, name: str, *, max_size: int, statement_s: float, read_only: bool
    ) -> None:
        guard = " -c default_transaction_read_only=on" if read_only else ""
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            database_url,
            min_size=1,
            max_size=max_size,
            timeout=_TIMEOUT_S,
            open=False,
            # A server that was restarted leaves dead connections behind: found before use.
            check=AsyncConnectionPool.check_connection,
            kwargs={
                "autocommit": True,
                "application_name": name,
                "connect_timeout": 2,
                "options": f"-c statement_timeout={statement_s:.0f}s{guard}",
            },
        )

    async def open(self) -> None:
        """Start the pool; does not wait for Postgres."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One of them."""
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (psycopg.Error, PoolTimeout) as error:
            raise UnavailableError(f"Postgres does not answer: {' '.join(str(error).split())}") from error
