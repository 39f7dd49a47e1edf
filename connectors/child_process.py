"""The coding command: one child process a task, which nothing of it outlives.

The command is run by `connectors/keeper.py`, a small process that holds the read end of a pipe whose write
end only this process has. Whatever ends the task (its time limit, a cancellation, the death of this process
by SIGKILL) closes that pipe, and the keeper ends the command's process group and every descendant that left
the group: SIGTERM, `grace_s` later SIGKILL. What the command left running when it ended is killed too.

The child sees an environment made from nothing: PATH, HOME (its working directory), LANG and the given
variables whose names the allow-list matches; never this process's own. It does run as the same user as this
process: where tasks are not trusted, give the workers a user of their own and run the command in a sandbox.
"""

import asyncio
import contextlib
import fnmatch
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors import keeper
from schemas.errors import ConfigError, PermanentError, TransientError

OUTPUT_LIMIT_BYTES = 64 << 10
ERROR_TAIL_BYTES = 4 << 10
GRACE_S = 3.0
ENVIRONMENT_ALLOWED = ("TASK_*", "LANG", "LC_*", "TZ")
_LAST_WORDS_S = 5.0


@dataclass(frozen=True, slots=True)
class Finished:
    """How the command ended. `output` is at most OUTPUT_LIMIT_BYTES of its standard output."""

    exit_code: int
    output: str
    truncated: bool
    error_tail: str
    duration_ms: int


class CodingCommand:
    """One allow-listed command and the folder in which its tasks may work."""

    def __init__(
        self,
        command: str,
        root: Path,
        *,
        search_path: str,
        environment_allowed: tuple[str, ...] = ENVIRONMENT_ALLOWED,
        grace_s: float = GRACE_S,
    ) -> None:
        self._argv = argv_of(command, search_path)
        self._root = root.resolve()
        self._search_path = search_path
        self._allowed = environment_allowed
        self._grace_s = grace_s

    def working_directory(self, relative: str | None) -> Path:
        """The folder of a task; PermanentError when it lies outside the root or is none."""
        folder = (self._root / (relative or ".")).resolve()
        if not folder.is_relative_to(self._root):
            raise PermanentError("config.workingDirectory leads out of the root folder", code="path_escape")
        if not folder.is_dir():
            raise PermanentError(f"config.workingDirectory {relative!r} is no folder", code="no_such_folder")
        return folder

    def environment(self, given: Mapping[str, str], home: Path) -> dict[str, str]:
        """What the child sees; PermanentError naming each variable that is not allowed."""
        refused = sorted(name for name in given if not self._may_set(name))
        if refused:
            allowed = ", ".join(self._allowed)
            text = f"config.environment: not allowed: {', '.join(refused)}; allowed are {allowed}"
            raise PermanentError(text, code="environment")
        own = {"PATH": self._search_path, "HOME": str(home), "LANG": "C.UTF-8"}
        return {**own, **given}

    def _may_set(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._allowed)

    async def run(
        self,
        prompt: str,
        *,
        folder: Path,
        environment: Mapping[str, str],
        timeout_s: float,
        on_output: Callable[[int], None] = lambda total: None,
    ) -> Finished:
        """Run the command with the prompt on its standard input; `on_output` hears the bytes so far.

        TransientError `timeout` after `timeout_s`; when cancelled the command is ended before the
        cancellation goes on. Either takes at most the grace and a second more.
        """
        started = time.monotonic()
        output, errors = Kept(OUTPUT_LIMIT_BYTES, on_output), Kept(ERROR_TAIL_BYTES, tail=True)
        try:
            async with self._running(prompt, folder, environment, output, errors) as child:
                async with asyncio.timeout(timeout_s):
                    code = await child.wait()
                # The keeper has ended all that could still write; if it was killed, others may hold the pipe.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_WORDS_S):
                        await output.closed.wait()
                        await errors.closed.wait()
        except TimeoutError:
            text = f"the command did not end within {timeout_s:g} s and was killed"
            raise TransientError(text, code="timeout") from None
        return Finished(
            exit_code=code if code >= 0 else 128 - code,
            output=output.text(),
            truncated=output.dropped > 0,
            error_tail=errors.text(),
            duration_ms=round((time.monotonic() - started) * 1000),
        )

    @contextlib.asynccontextmanager
    async def _running(
        self, prompt: str, folder: Path, environment: Mapping[str, str], output: "Kept", errors: "Kept"
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        lifeline, held = os.pipe()
        try:
            async with _into(output) as out, _into(errors) as err:
                with tempfile.TemporaryFile() as given:
                    given.write(prompt.encode())
                    given.seek(0)
                    child = await self._start(given.fileno(), out, err, lifeline, folder, environment)
                try:
                    yield child
                finally:
                    os.close(held)
                    held = -1
                    await asyncio.shield(_ended(child, self._grace_s + 1.0))
        finally:
            os.close(lifeline)
            if held >= 0:
                os.close(held)

    async def _start(
        self,
        given: int,
        out: "_End",
        err: "_End",
        lifeline: int,
        folder: Path,
        environment: Mapping[str, str],
    ) -> asyncio.subprocess.Process:
        # No pipes of asyncio's own: with those a process counts as running while anyone holds one.
        try:
            return await asyncio.create_subprocess_exec(
                *keeper_argv(lifeline, self._grace_s),
                *self._argv,
                stdin=given,
                stdout=out.descriptor,
                stderr=err.descriptor,
                cwd=folder,
                env=dict(environment),
                pass_fds=(lifeline,),
                start_new_session=True,
            )
        except OSError as error:
            raise TransientError(f"the command did not start: {error}", code="start_failed") from error
        finally:
            out.close()
            err.close()


class Kept(asyncio.Protocol):
    """A stream's first bytes (its last, with `tail`); `closed` when nobody can write to it any more."""

    def __init__(self, limit: int, heard: Callable[[int], None] | None = None, *, tail: bool = False) -> None:
        self._limit, self._heard, self._tail = limit, heard, tail
        self._bytes = b""
        self.total = 0
        self.closed = asyncio.Event()

    @property
    def dropped(self) -> int:
        """How many bytes were not kept."""
        return self.total - len(self._bytes)

    def data_received(self, data: bytes) -> None:
        """Keep what there is room for."""
        self.total += len(data)
        if self._tail:
            self._bytes = (self._bytes + data)[-self._limit :]
        elif len(self._bytes) < self._limit:
            self._bytes = (self._bytes + data)[: self._limit]
        if self._heard is not None:
            self._heard(self.total)

    def connection_lost(self, error: Exception | None) -> None:
        """The other ends are closed."""
        self.closed.set()

    def text(self) -> str:
        """What was kept."""
        return self._bytes.decode(errors="replace")


@dataclass(slots=True)
class _End:
    """The writing end of a pipe, which the child takes over."""

    descriptor: int

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


@contextlib.asynccontextmanager
async def _into(kept: Kept) -> AsyncIterator[_End]:
    """A pipe whose other end is read into `kept`."""
    read, write = os.pipe()
    end = _End(write)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: kept, os.fdopen(read, "rb", 0))
    try:
        yield end
    finally:
        end.close()
        transport.close()


async def _ended(child: asyncio.subprocess.Process, limit_s: float) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await child.wait()
    except TimeoutError:
        # The keeper hangs: with it the kernel kills the command.
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def argv_of(command: str, search_path: str) -> tuple[str, ...]:
    """A command line's words, the program by its full path; ConfigError when there is no such program."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"TIERFLOW_CODING_COMMAND: {error}") from None
    program = shutil.which(words[0], path=search_path) if words else None
    if program is None:
        raise ConfigError(f"TIERFLOW_CODING_COMMAND: no such program: {words[0] if words else '(empty)'}")
    return (program, *words[1:])


def keeper_argv(lifeline: int, grace_s: float) -> tuple[str, ...]:
    """The command that keeps another one; isolated, so that no variable of a task reaches it."""
    return (sys.executable, "-I", "-S", str(Path(keeper.__file__)), str(lifeline), str(grace_s))
