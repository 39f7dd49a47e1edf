"""The demo's own stack: a data folder of its own, the local stack on it, and the providers' emulators."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ops.demo.gateway import DemoError
from ops.emulators.stripe_mock import binary
from ops.stack.detached import start_detached, stop_running
from ops.stack.folder import DataFolder
from ops.stack.health import ask
from ops.stack.leash import Guard
from ops.stack.local_stack import AUTH_VARIABLES
from ops.stack.ports import Ports, kept
from ops.stack.process import lives, tail
from ops.stack.progress import Say
from ops.stack.state import StackState, read

EMULATORS_LIMIT_S = 60.0


class Emulated(msgspec.Struct, frozen=True):
    """Where the providers of a stack listen; kept in the data folder for the next demo on the same stack."""

    stripe: int
    smtp: int
    mailbox: int
    supervisor: int

    @property
    def stripe_url(self) -> str:
        """Stripe's API, and its control."""
        return f"http://127.0.0.1:{self.stripe}"

    @property
    def mailbox_url(self) -> str:
        """What the SMTP server got."""
        return f"http://127.0.0.1:{self.mailbox}"


@dataclass(frozen=True)
class Surroundings:
    """Everything that runs around a demo."""

    folder: DataFolder
    state: StackState
    emulated: Emulated


@contextlib.asynccontextmanager
async def surroundings(folder: DataFolder, say: Say, *, keep: bool) -> AsyncIterator[Surroundings]:
    """Use the demo's stack that runs on this folder, or start one; stop what was started unless `keep`.

    Whatever ends this process ends a stack that is not kept.
    """
    running = _running(folder)
    if running is not None:
        say(f"using the demo's stack on {folder.root}")
        yield running
        return
    # Built before anything starts: the first time it takes half a minute.
    say("emulators: Stripe's is built the first time, which takes a minute")
    await asyncio.to_thread(binary)
    guard = None if keep else Guard()
    try:
        yield await asyncio.to_thread(_start, folder, guard)
        if keep:
            say(f"the stack runs on; stop it with: tierflow down --data {folder.root}")
    finally:
        if guard is not None:
            await asyncio.to_thread(stop_running, folder, say)
            guard.close()


def _running(folder: DataFolder) -> Surroundings | None:
    state = read(folder.state)
    if state is None or not state.runs():
        return None
    try:
        emulated = msgspec.json.decode(_note(folder).read_bytes(), type=Emulated)
    except (FileNotFoundError, msgspec.DecodeError):
        emulated = None
    if emulated is None or emulated.supervisor != state.supervisor:
        hint = "stop it (tierflow down) or name another folder with --data"
        raise DemoError(f"the stack on {folder.root} does not use the demo's providers: {hint}")
    return Surroundings(folder, state, emulated)


def _note(folder: DataFolder) -> Path:
    return folder.root.parent / "demo.json"


def _start(folder: DataFolder, guard: Guard | None) -> Surroundings:
    ports = Ports({})
    stripe, smtp, mailbox = (ports.get(name) for name in ("stripe", "smtp", "mailbox"))
    settings = stack_environment(folder, stripe, smtp, os.environ)
    # The stack chooses ports of its own while these have no listener yet.
    with kept(stripe, smtp, mailbox):
        state = start_detached(["--data", str(folder.root), "--port", "0"], folder, settings)
    if guard is not None:
        guard.watch(state.supervisor, signal.SIGTERM)
    emulated = Emulated(stripe, smtp, mailbox, state.supervisor)
    _start_emulators(folder, emulated)
    _note(folder).write_bytes(msgspec.json.encode(emulated))
    return Surroundings(folder, state, emulated)


def stack_environment(
    folder: DataFolder, stripe: int, smtp: int, environment: Mapping[str, str]
) -> dict[str, str]:
    """The settings of the demo's roles: open on loopback, every provider an emulator."""
    tasks = folder.root.parent / "tasks"
    tasks.mkdir(parents=True, exist_ok=True)
    identity = {name for variable in AUTH_VARIABLES for name in (variable, f"{variable}_FILE")}
    return {name: value for name, value in environment.items() if name not in identity} | {
        "STRIPE_SECRET_KEY": "sk_test_demo",
        "STRIPE_API_BASE": f"http://127.0.0.1:{stripe}",
        "SMTP_URL": f"smtp://127.0.0.1:{smtp}?starttls=off",
        "TIERFLOW_MAIL_FROM": "tierflow@example.com",
        "TIERFLOW_CODING_COMMAND": f"'{sys.executable}' -I -",
        "TIERFLOW_CODING_ROOT": str(tasks),
    }


def _start_emulators(folder: DataFolder, emulated: Emulated) -> None:
    """Each ends by itself when the stack's supervisor has ended."""
    with_stack = ("--with-pid", str(emulated.supervisor))
    commands = {
        "stripe": ("--port", str(emulated.stripe)),
        "smtp": ("--port", str(emulated.smtp), "--control-port", str(emulated.mailbox)),
    }
    children = {name: _spawn(folder, name, (*arguments, *with_stack)) for name, arguments in commands.items()}
    _wait(folder, "stripe", children["stripe"], f"{emulated.stripe_url}/_control")
    _wait(folder, "smtp", children["smtp"], emulated.mailbox_url)


def _spawn(folder: DataFolder, name: str, arguments: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
    with folder.log(name).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", f"ops.emulators.{name}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )


def _wait(folder: DataFolder, name: str, child: "subprocess.Popen[bytes]", url: str) -> None:
    for _ in range(int(EMULATORS_LIMIT_S / 0.1)):
        reason = ask(url)
        if reason is None:
            return
        try:
            status = child.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        raise DemoError(f"the {name} emulator ended with {status}: {tail(folder.log(name))}")
    raise DemoError(f"the {name} emulator does not answer: {reason}")


def worker_pid(folder: DataFolder, name: str) -> int | None:
    """The process of a role as it is now; None between two."""
    state = read(folder.state)
    found = [part for part in state.parts if part.name == name] if state else []
    return found[0].pid if found and found[0].pid and lives(found[0].pid, found[0].created) else None


def restarts(folder: DataFolder, name: str) -> int:
    """How often the supervisor has started a role again."""
    state = read(folder.state)
    return sum(part.restarts for part in state.parts if part.name == name) if state else 0
