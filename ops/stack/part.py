"""A part of the stack as data: which process, how its health is asked, how it is stopped."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """One long-running child process.

    `health` is a URL that `ops.stack.health` knows how to ask (http, tcp, kafka, postgresql, redis).
    `prefix` goes before the command itself, for a change of user. `orphan_signal` is what the process gets at
    once when its supervisor is gone: SIGKILL for the crash-safe, a gentler one for what would rather save.
    """

    name: str
    argv: tuple[str, ...]
    health: str
    address: str
    env: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    cwd: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_limit_s: float = 30.0
    orphan_signal: signal.Signals = signal.SIGKILL
    ready_limit_s: float = 120.0


@dataclass(frozen=True)
class External:
    """A service that somebody else runs: only its health is asked."""

    name: str
    health: str
    address: str
    because: str
