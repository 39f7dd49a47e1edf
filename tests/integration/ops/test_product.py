"""The whole product as `tierflow up` starts it."""

import os
import signal
import time
import urllib.error
import urllib.request

from ops.stack.roles import ROLES
from tests.stack import TestStack


def test_every_role_is_up_and_the_gateway_is_ready(running_stack: TestStack) -> None:
    expected = {"kafka-1", "postgres", "valkey", *(role.name for role in ROLES)}
    deadline = time.monotonic() + 120
    # Asked again: each is asked for a second only.
    while (found := _health(running_stack)) != dict.fromkeys(expected, "healthy"):
        assert time.monotonic() < deadline, found
    while _status(f"{running_stack.state.gateway_url}/health/ready") != 200:
        assert time.monotonic() < deadline, "the gateway is not ready"


def test_a_killed_role_is_started_again_under_its_name(running_stack: TestStack) -> None:
    before = running_stack.part("worker-3")
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while running_stack.part("worker-3").restarts == before.restarts or (
        _health(running_stack)["worker-3"] != "healthy"
    ):
        assert time.monotonic() < deadline, running_stack.report()
        time.sleep(0.2)
    after = running_stack.part("worker-3")
    assert after.pid != before.pid
    assert after.address == before.address


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def _health(stack: TestStack) -> dict[str, str]:
    return {part["name"]: part["health"] for part in stack.report()["parts"]}
