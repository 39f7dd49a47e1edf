"""The README's job type, as it stands there: through the whole stack, and in its unit test."""

import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack import ROOT, TestStack, clean_environment

pytestmark = pytest.mark.timeout(600)
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
MODULE = next(block for block in BLOCKS if block.startswith("# greetings.py"))
TEST = next(block for block in BLOCKS if "InMemory" in block)
API = "/api/v1/queue"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the job author works."""
    made = tmp_path_factory.mktemp("author")
    (made / "greetings.py").write_text(MODULE)
    return made


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[httpx.Client]:
    """The stack with the author's type."""
    environment = {"PYTHONPATH": str(folder), "TIERFLOW_HANDLERS": "greetings"}
    with TestStack(folder / "stack", environment=environment) as stack:
        url = stack.state.gateway_url
        assert url is not None
        with httpx.Client(base_url=url, timeout=60) as client:
            yield client


def submitted(gateway: httpx.Client, data: dict[str, Any]) -> dict[str, Any]:
    body = {"queue": "greetings", "type": "greet", "data": data}
    answer = gateway.post(f"{API}/jobs", json=body)
    return {**answer.json(), "code": answer.status_code}


def ended(gateway: httpx.Client, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 180
    while True:
        job: dict[str, Any] = gateway.get(f"{API}/jobs/{job_id}").json()
        if job.get("state") in ("completed", "dead", "duplicate"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def test_a_type_of_ones_own_goes_from_http_to_its_result(gateway: httpx.Client) -> None:
    job = ended(gateway, submitted(gateway, {"name": "Ada"})["jobId"])
    assert (job["state"], job["queue"], job["type"]) == ("completed", "greetings", "greet")
    assert "hello Ada" in str(job)


def test_its_key_is_known_and_its_data_are_validated(gateway: httpx.Client) -> None:
    first = submitted(gateway, {"name": "Grace"})["jobId"]
    ended(gateway, first)
    again = submitted(gateway, {"name": "Grace"})
    assert again["code"] in (200, 201)
    if again["code"] == 201:
        assert ended(gateway, again["jobId"])["state"] == "duplicate"
    refused = submitted(gateway, {"nmae": "Ada"})
    assert refused["code"] == 400
    assert "data.name" in str(refused)


def test_it_is_documented_and_its_queue_is_listed(gateway: httpx.Client) -> None:
    schema = gateway.get("/openapi.json").json()["components"]["schemas"]["data.greet"]
    assert (schema["required"], "tier 2" in schema["description"]) == (["name"], True)
    assert "greetings" in gateway.get(f"{API}/queues").text


def test_the_command_shows_it(folder: Path) -> None:
    environment = clean_environment({"PYTHONPATH": str(folder), "TIERFLOW_HANDLERS": "greetings"})
    command = [sys.executable, "-m", "ops.cli.main", "jobs", "types"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert re.search(r"greetings +greet +tier 2 .* greetings\.greet\n", done.stdout)


def test_its_unit_test_passes(folder: Path) -> None:
    imports = "import asyncio\nfrom agents.in_memory import InMemory\n"
    program = f"{imports}async def test():\n{textwrap.indent(TEST, '    ')}\nasyncio.run(test())\n"
    environment = clean_environment({"PYTHONPATH": f"{folder}:{ROOT}"})
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
