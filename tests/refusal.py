"""A broker that refuses one batch and takes the next: as one does that hears it leads a partition in between.

A TCP proxy before a real broker. It answers the first batch for a topic itself, with NOT_LEADER_OR_FOLLOWER,
but not before a second one is under way, which it passes on.
"""

import contextlib
import socket
import struct
import threading
from typing import Self

_PRODUCE = 0
_NOT_LEADER = 6
_FLEXIBLE = 9
"""From this version on lengths are varints (one more than the length) and every structure may have tags."""
_HOST = b"127.0.0.1"


class RefusesFirst:
    """Listens on `bootstrap` until the block ends; the batches are those of partition 0 of the topic."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._port, self._topic = int(bootstrap.rpartition(":")[2]), topic.encode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.bootstrap = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.held = threading.Event()
        """The first batch has come, and nobody answers yet."""
        self._first: bytes | None = None
        self.has_refused = False
        self._open: list[socket.socket] = [self._listener]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                broker = socket.create_connection(("127.0.0.1", self._port))
                self._open += [client, broker]
                for carry, ends in ((self._ask, (client, broker)), (self._answer, (broker, client))):
                    threading.Thread(target=carry, args=ends, daemon=True).start()

    def _ask(self, client: socket.socket, broker: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while frame := _frame(client):
                if not self.has_refused and frame[:2] == struct.pack(">h", _PRODUCE) and self._topic in frame:
                    if self._first is None:
                        self._first = frame
                        self.held.set()
                        continue
                    self.has_refused = True
                    client.sendall(_sized(self._refusal(self._first)))
                broker.sendall(_sized(frame))

    def _answer(self, broker: socket.socket, client: socket.socket) -> None:
        """The client is to find its way to us again: the broker's address is ours."""
        ours = int(self.bootstrap.rpartition(":")[2])
        with contextlib.suppress(OSError):
            while frame := _frame(broker):
                real, proxied = (_HOST + struct.pack(">i", port) for port in (self._port, ours))
                client.sendall(_sized(frame.replace(real, proxied)))

    def _refusal(self, request: bytes) -> bytes:
        _, version, correlation = struct.unpack_from(">hhi", request)
        assert version >= _FLEXIBLE
        name = bytes([len(self._topic) + 1]) + self._topic
        # Number, error, base offset, time of appending, start of the log; no errors of records, no message.
        partition = struct.pack(">ihqqq", 0, _NOT_LEADER, -1, -1, -1) + b"\x01\x00\x00"
        throttle_ms = struct.pack(">i", 0)
        tags = b"\x00"
        topics = b"\x02" + name + b"\x02" + partition + tags
        return struct.pack(">i", correlation) + tags + topics + throttle_ms + tags


def _frame(end: socket.socket) -> bytes:
    """The next message without its size; empty when the connection has ended."""
    size = _exactly(end, 4)
    return _exactly(end, struct.unpack(">i", size)[0]) if size else b""


def _exactly(end: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        part = end.recv(size - len(read))
        if not part:
            return b""
        read += part
    return read


def _sized(frame: bytes) -> bytes:
    return struct.pack(">i", len(frame)) + frame
