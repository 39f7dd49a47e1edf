"""Free ports on loopback, chosen once and then kept: a second start finds its data under its address."""

import contextlib
import errno
import random
import socket
from collections.abc import Iterator, MutableMapping

from ops.stack.errors import StackError

LOOPBACK = "127.0.0.1"
# Below the ephemeral ranges of Linux and macOS: no outgoing connection takes a port after we chose it.
CHOICE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Say whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


@contextlib.contextmanager
def kept(*ports: int) -> Iterator[None]:
    """No other process that asks `is_free` gets these ports before the block ends. OSError: one is taken."""
    with contextlib.ExitStack() as held:
        for port in ports:
            held.enter_context(socket.create_server((LOOPBACK, port)))
        yield


class Ports:
    """Names to ports. Remembers in the mapping that it was given; the owner of the mapping stores it."""

    def __init__(self, remembered: MutableMapping[str, int]) -> None:
        self._remembered = remembered
        self._given: set[int] = set()

    def get(self, name: str) -> int:
        """Return the remembered port of `name` if it is still free, else choose and remember another."""
        port = self._remembered.get(name)
        if port is None or port in self._given or not is_free(port):
            port = self._choose()
        return self._keep(name, port)

    def claim(self, name: str, port: int) -> int:
        """Take exactly this port for `name`. StackError when another process listens on it."""
        if port in self._given or not is_free(port):
            raise StackError(
                f"port {port} for the {name} is taken", "choose another with --port, or --port 0 for any"
            )
        return self._keep(name, port)

    def prefer(self, name: str, port: int) -> int:
        """Take this port if it is free, else what `get` gives."""
        if port not in self._given and is_free(port):
            return self._keep(name, port)
        return self.get(name)

    def _keep(self, name: str, port: int) -> int:
        self._remembered[name] = port
        self._given.add(port)
        return port

    def _choose(self) -> int:
        others = set(self._remembered.values()) | self._given
        for port in random.sample(CHOICE, 2_000):
            if port not in others and is_free(port):
                return port
        raise StackError(f"no free port between {CHOICE.start} and {CHOICE.stop}")
