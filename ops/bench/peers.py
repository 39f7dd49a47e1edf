"""Quix Streams in an environment of its own: it pins a confluent-kafka older than ours."""

import asyncio
import hashlib
import os
import sys
from pathlib import Path

from ops.stack.errors import StackError
from ops.stack.folder import data_folder
from ops.stack.progress import Say

LOCK = Path(__file__).with_name("requirements.lock")
INSTALL_LIMIT_S = 600.0


async def quix_python(say: Say) -> Path:
    """The interpreter that has it; made the first time, under the data folder. StackError with the reason."""
    version = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = data_folder(None, os.environ, Path.cwd()).root / "bench" / f"quix-{version}"
    python = folder / "bin" / "python"
    done = folder / ".installed"
    if not done.exists():
        say("stage: installing Quix Streams in an environment of its own (the first time only)")
        await run_to_end("Quix Streams", sys.executable, "-m", "venv", "--clear", str(folder))
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        await run_to_end(
            "Quix Streams", str(python), *pip, "--require-hashes", "--only-binary=:all:", "-r", str(LOCK)
        )
        done.touch()
    return python


async def run_to_end(what: str, *argv: str) -> None:
    """Install something; StackError when that fails or takes too long."""
    child = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(child.communicate(), INSTALL_LIMIT_S)
    except TimeoutError:
        child.kill()
        await child.wait()
        raise StackError(f"{argv[0]} took more than {INSTALL_LIMIT_S:.0f} s") from None
    if child.returncode:
        raise StackError(f"{what} cannot be installed: {output.decode(errors='replace')[-800:]}")
