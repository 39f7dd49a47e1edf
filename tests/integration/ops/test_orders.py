"""`tierflow queues` and `tierflow jobs` against the whole product."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from ops.cli.main import main
from tests.stack import TestStack

QUEUE = "robot"
LIMIT_S = 180


class Operator:
    """Calls the commands, and submits jobs over HTTP."""

    def __init__(self, stack: TestStack) -> None:
        assert stack.state.gateway_url
        self._url, self._log = stack.state.gateway_url, stack.folder.log("worker-2")

    def command(self, *arguments: str) -> Any:
        """The JSON answer of a command."""
        answer = CliRunner().invoke(main, [*arguments, "--url", self._url, "--json"])
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.output)

    def pause(self) -> None:
        """Pause the queue; returns when the worker obeys and the list of queues shows it."""
        before = self._pauses()
        self.command("queues", "pause", QUEUE, "--reason", "a test")
        until(lambda: self._pauses() > before and bool(self.queue()["paused"]))

    def _pauses(self) -> int:
        lines = self._log.read_text().splitlines()
        return sum('"ordered"' in line and '"pause"' in line and QUEUE in line for line in lines)

    def submit(self, document: str) -> str:
        """A job on a document; its id."""
        data = {"documentId": document, "userId": "ada", "cellId": "A1", "formula": "=1+1"}
        body = {"queue": QUEUE, "type": "formula_calculation", "data": data}
        answer = httpx.post(f"{self._url}/api/v1/queue/jobs", json=body, timeout=60)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["jobId"])

    def state(self, job_id: str) -> str:
        """Where the job stands."""
        return str(self.command("jobs", "get", job_id)["state"])

    def queue(self) -> dict[str, Any]:
        """The queue in the list of queues."""
        return next(queue for queue in self.command("queues", "list") if queue["name"] == QUEUE)


@pytest.fixture
def operator(running_stack: TestStack) -> Operator:
    return Operator(running_stack)


def until(condition: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_paused_queue_shows_it_and_its_jobs_wait_to_be_cancelled_or_resumed(operator: Operator) -> None:
    first = operator.submit("before")
    until(lambda: operator.state(first) == "completed")
    operator.pause()
    wrong, right = operator.submit("wrong"), operator.submit("right")
    assert operator.command("jobs", "cancel", wrong, "--reason", "not wanted")["status"] == "cancelling"
    until(lambda: operator.state(wrong) == "cancelled")
    assert operator.state(right) == "waiting"
    timeline = operator.command("jobs", "get", wrong)["timeline"]
    assert [(change["state"], change.get("reason")) for change in timeline] == [
        ("waiting", None), ("cancelled", "by demo: not wanted"),
    ]  # fmt: skip
    operator.command("queues", "resume", QUEUE)
    until(lambda: operator.state(right) == "completed")
    until(lambda: not operator.queue()["paused"])


def test_a_clear_cancels_what_waits_and_shows_it(operator: Operator) -> None:
    operator.pause()
    jobs = [operator.submit(f"cleared-{n}") for n in range(20)]
    operator.command("queues", "clear", QUEUE, "--state", "waiting", "--yes")
    until(lambda: all(operator.state(job) == "cancelled" for job in jobs))
    operator.command("queues", "resume", QUEUE)
    later = operator.submit("later")
    until(lambda: operator.state(later) == "completed")


def test_a_job_that_has_ended_is_neither_cancelled_nor_tried_again(operator: Operator) -> None:
    job = operator.submit("over")
    until(lambda: operator.state(job) == "completed")
    for action in ("cancel", "retry"):
        answer = CliRunner().invoke(main, ["jobs", action, job, "--url", operator._url])
        assert answer.exit_code == 1
        assert "409 conflict" in answer.output
