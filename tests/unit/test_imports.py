"""Importing does nothing: no environment is read, no socket opened, no thread started, no handler set."""

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ["schemas", "streams", "connectors", "agents", "ops"]

PROGRAM = """
import importlib, logging, os, signal, socket, sys, threading
sys.path.insert(0, sys.argv[1])
def blocked(*_, **__):
    raise AssertionError("a socket while importing")
socket.socket.connect = socket.socket.bind = socket.create_connection = socket.getaddrinfo = blocked
def written(event, args):
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        raise AssertionError(f"{args[0]} opened for writing while importing")
    if event in ("subprocess.Popen", "os.system", "os.fork"):
        raise AssertionError(f"{event} while importing")
sys.dont_write_bytecode = True
environment, signals = dict(os.environ), signal.getsignal(signal.SIGTERM)
# Libraries that ask the system for its name or for extensions of their own while they load.
for library in ("faust.tables.manager", "confluent_kafka", "platform"):
    importlib.import_module(library)
threads, handlers = set(threading.enumerate()), list(logging.getLogger().handlers)
sys.addaudithook(written)
for name in sys.argv[2:]:
    importlib.import_module(name)
from prometheus_client import REGISTRY
ours = [name for name in REGISTRY._names_to_collectors if name.split("_")[0] not in ("python", "process")]
assert not ours, f"metrics in the global registry: {ours}"
assert set(threading.enumerate()) == threads, "a thread while importing"
assert logging.getLogger().handlers == handlers, "logging was configured while importing"
assert dict(os.environ) == environment, "the environment was changed while importing"
assert signal.getsignal(signal.SIGTERM) == signals, "a signal handler was set while importing"
"""


def modules(room: str) -> list[str]:
    """Every module of a room, by walking its folder."""
    found = pkgutil.walk_packages([str(ROOT / room)], f"{room}.")
    return [room, *(module.name for module in found if not module.name.endswith("__main__"))]


def run(program: str, *names: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, str(ROOT), *names]
    return subprocess.run(command, env={}, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("room", ROOMS)
def test_importing_every_module_of_a_room_does_nothing(room: str) -> None:
    names = modules(room)
    assert len(names) > 3
    done = run(PROGRAM, *names)
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    "line",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "import os; os.environ['X'] = '1'",
        "open('left', 'w')",
    ],
)
def test_a_module_that_does_something_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text(line)
    done = run(PROGRAM.replace("sys.argv[1]", repr(str(tmp_path))), "busy")
    assert "while importing" in done.stderr
    assert "left" not in os.listdir(tmp_path)


def test_what_a_worker_needs_for_some_jobs_only_is_not_imported_for_all() -> None:
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from ops import compose
from agents.handlers import registry
registry.load("")
print(sorted({"httpx", "formualizer", "aiosmtplib", "jinja2"} & sys.modules.keys()))
"""
    done = run(program)
    assert (done.stdout, done.stderr) == ("[]\n", "")
