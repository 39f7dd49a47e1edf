"""A TCP proxy between the roles and a service, which can be cut or slowed down."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

_PIECE = 65_536


class Link:
    """Listens on a port of its own in a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._loop = asyncio.new_event_loop()
        self._pairs: set[asyncio.StreamWriter] = set()
        self._cut = False
        self._delay_s = 0.0
        self.port = 0

    @contextlib.contextmanager
    def running(self) -> Iterator["Link"]:
        """Carry connections until the block ends."""
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(server.close)
            self._loop.call_soon_threadsafe(self._reset)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()

    def cut(self) -> None:
        """Reset every connection and refuse new ones until `mend`."""
        self._cut = True
        self._loop.call_soon_threadsafe(self._reset)

    def slow(self, delay_s: float) -> None:
        """Hold back every piece for so long, both ways."""
        self._delay_s = delay_s

    def mend(self) -> None:
        """As it should be."""
        self._cut, self._delay_s = False, 0.0

    def _do(self, work: Coroutine[Any, Any, asyncio.Server]) -> asyncio.Server:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _reset(self) -> None:
        for writer in self._pairs:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection(*self._to)
        except OSError:
            writer.transport.abort()
            return
        self._pairs |= {writer, back}
        try:
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
        finally:
            self._pairs -= {writer, back}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                writer.write(piece)
                await writer.drain()
        writer.close()
