"""`python -m ops.compiled.build`: compiles the modules of the list, if these sources are not compiled yet.

Needs a C compiler and Python's headers. What is missing or does not work is said, and the exit status is 0:
the product runs without. With `--must` it is 1.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from ops.compiled import modules
from ops.compiled.overlay import SWITCH

# Processes that run may still import from those of the sources before.
KEPT = 3
_OPTIMISED = "2"
_WORK = "building-"
_LEFT_BEHIND_S = 3_600.0
_SLOWER = "everything runs interpreted, with half as much CPU a job again"


def main() -> int:
    """Compile; the exit status."""
    if os.environ.get(SWITCH) == "0":
        return 0
    folder = modules.folder()
    reason = None if modules.are_compiled() else missing() or _compile(folder)
    if reason is None:
        folder.touch()  # the last that was used goes last
        _forget_old(folder.parent)
        return 0
    print(f"{_SLOWER}: {reason}", file=sys.stderr)
    return int("--must" in sys.argv)


def missing() -> str | None:
    """What there has to be and is not, with the line that installs it on Debian."""
    install = "; on Debian: apt-get install -y gcc libc6-dev python3-dev"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler}){install}"
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    return None if headers.is_file() else f"Python's headers are missing ({headers}){install}"


def compile_into() -> None:
    """Into the folder `lib` of the folder that the command line names."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    from connectors.redis.parts import PARTS
    from streams.avro.module import module_text
    from streams.codec import FILES, schema_of

    work = Path(sys.argv[1])
    made = work / f"{modules.MADE}.py"
    records = {record: schema_of(record) for record in FILES}
    made.write_text(module_text(records, {part: records[of] for part, of in PARTS.items()}))
    paths = [str(modules.source(module).relative_to(modules.ROOT)) for module in modules.MODULES]
    extensions = mypycify(
        [*paths, str(made)], opt_level=_OPTIMISED, debug_level="0", multi_file=True,
        target_dir=str(work / "c"), group_name=modules.LIBRARY.removesuffix("__mypyc"),
    )  # fmt: skip
    distribution = Distribution({"name": "tierflow-compiled", "ext_modules": extensions})
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(work / "lib"), str(work / "o")
    distribution.run_command("build_ext")
    (work / "lib" / modules.COMPLETE).touch()


def _compile(folder: Path) -> str | None:
    """Why there is nothing afterwards, or None. What failed once is not tried again for the same sources."""
    log = folder.with_suffix(".failed")
    if log.is_file():
        return f"compiling failed before, see {log}; remove it to try again"
    print("install: compiling the hot path (a minute or two)", file=sys.stderr, flush=True)
    try:
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=_WORK) as work:
            # In a process of its own: mypyc and setuptools print, and end it when something is wrong.
            done = subprocess.run(
                [sys.executable, "-c", "from ops.compiled import build; build.compile_into()", work],
                cwd=modules.ROOT, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                log.write_text(done.stdout + done.stderr)
                return f"compiling failed, see {log}"
            (Path(work) / "lib").rename(folder)
    except OSError as error:
        # Somebody else may have been first.
        return None if modules.are_compiled() else str(error)
    return None


def _forget_old(folder: Path) -> None:
    entries = sorted(folder.iterdir(), key=lambda one: one.stat().st_mtime)
    work = [one for one in entries if one.name.startswith(_WORK)]
    for old in [one for one in entries if one not in work][:-KEPT]:
        _remove(old)
    for old in work:
        if time.time() - old.stat().st_mtime > _LEFT_BEHIND_S:
            _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
