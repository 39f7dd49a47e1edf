"""The Confluent framing against a real Schema Registry: Apicurio, which speaks Confluent's API."""

import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from connectors.kafka.registry import ConfluentRegistry, codec
from ops.stack.java import find_java, find_maven
from ops.stack.leash import leashed
from ops.stack.ports import Ports
from schemas.errors import DecodeError
from schemas.records import Control
from streams.codec import Codec, schema_text
from streams.settings import load

# Later ones need Java 21.
VERSION = "3.0.9"
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
RECORD = Control("pause", "money", 1, "ada")


def _fetched() -> Path:
    """The registry's jars, fetched by Maven once for all runs of a user."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    folder = Path(cache) / "tierflow" / f"apicurio-{VERSION}"
    if not folder.is_dir():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        fresh.mkdir(parents=True)
        archive = fresh / "registry.tar.gz"
        # This version of the plugin: later ones ask for the artifact's parent, which is not published.
        goal = "org.apache.maven.plugins:maven-dependency-plugin:2.8:get"
        options = (f"-Dartifact={ARTIFACT}", "-Dtransitive=false", f"-Ddest={archive}")
        subprocess.run([str(find_maven(os.environ)), "-q", "-B", goal, *options], check=True, cwd=fresh)
        with tarfile.open(archive) as packed:
            packed.extractall(fresh, filter="data")
        archive.unlink()
        fresh.rename(folder)
    return folder


@pytest.fixture(scope="module")
def registry_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry in memory, gone with the module."""
    folder, port = _fetched(), Ports({}).get("registry")
    runner = next(folder.rglob("apicurio-registry-app-*-runner.jar"))
    log = tmp_path_factory.mktemp("registry") / "log"
    java = (str(find_java(os.environ)), "-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
    with log.open("wb") as output:
        child = subprocess.Popen(
            leashed((*java, "-jar", str(runner)), signal.SIGTERM),
            env={**os.environ, "QUARKUS_HTTP_PORT": str(port), "QUARKUS_HTTP_HOST": "127.0.0.1"},
            cwd=runner.parent, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        _wait_ready(f"http://127.0.0.1:{port}/health/ready", log)
        yield f"http://127.0.0.1:{port}/apis/ccompat/v7"
    finally:
        child.terminate()
        child.wait(60)


def _wait_ready(url: str, log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])


def test_records_are_framed_with_the_registrys_id(registry_url: str) -> None:
    settings = load({"SCHEMA_REGISTRY_URL": registry_url}).kafka
    registered = codec(settings)
    raw = registered.encode(RECORD)
    assert raw[0] == 0
    schema_id = int.from_bytes(raw[1:5], "big")
    assert "Control" in ConfluentRegistry(registry_url).schema_of(schema_id)
    assert registered.decode(Control, raw) == RECORD


def test_registering_the_same_schema_twice_gives_the_same_id(registry_url: str) -> None:
    registry = ConfluentRegistry(registry_url)
    first, second = (registry.id_of("tierflow.Control", schema_text(Control)) for _ in range(2))
    assert first == second


def test_single_object_records_of_before_are_still_read(registry_url: str) -> None:
    registered = codec(load({"SCHEMA_REGISTRY_URL": registry_url}).kafka)
    assert registered.decode(Control, Codec().encode(RECORD)) == RECORD


def test_confluent_records_are_refused_without_a_registry(registry_url: str) -> None:
    raw = codec(load({"SCHEMA_REGISTRY_URL": registry_url}).kafka).encode(RECORD)
    with pytest.raises(DecodeError, match="no Avro frame"):
        Codec().decode(Control, raw)


def test_an_id_that_the_registry_does_not_have_is_refused(registry_url: str) -> None:
    registered = codec(load({"SCHEMA_REGISTRY_URL": registry_url}).kafka)
    with pytest.raises(DecodeError, match="has no schema 99999"):
        registered.decode(Control, b"\x00" + (99_999).to_bytes(4, "big"))


def test_a_registry_that_is_away_is_no_fault_of_the_record(registry_url: str) -> None:
    registered = codec(load({"SCHEMA_REGISTRY_URL": registry_url}).kafka)
    registered._registry = ConfluentRegistry("http://127.0.0.1:9")
    with pytest.raises(Exception, match=r"(?i)connect|refused"):
        registered.decode(Control, b"\x00" + (77_777).to_bytes(4, "big"))
