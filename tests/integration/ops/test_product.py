"""The whole product as `tierflow up` starts it."""

import os
import signal
import time
import urllib.request

from ops.stack.roles import ROLES
from tests.stack import TestStack


def test_every_role_is_up_and_the_gateway_is_ready(running_stack: TestStack) -> None:
    found = {part["name"]: part["health"] for part in running_stack.report()["parts"]}
    expected = {"kafka-1", "postgres", "valkey", *(role.name for role in ROLES)}
    assert found == dict.fromkeys(expected, "healthy")
    with urllib.request.urlopen(f"{running_stack.state.gateway_url}/health/ready", timeout=5) as answer:
        assert answer.status == 200


def test_a_killed_role_is_started_again_under_its_name(running_stack: TestStack) -> None:
    before = running_stack.part("worker-3")
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while running_stack.part("worker-3").restarts == before.restarts or not _healthy(
        running_stack, "worker-3"
    ):
        assert time.monotonic() < deadline, running_stack.report()
        time.sleep(0.2)
    after = running_stack.part("worker-3")
    assert after.pid != before.pid
    assert after.address == before.address


def _healthy(stack: TestStack, name: str) -> bool:
    return any(part["name"] == name and part["health"] == "healthy" for part in stack.report()["parts"])
