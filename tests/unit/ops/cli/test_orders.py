"""`tierflow queues` and `tierflow jobs`: what they ask the gateway, what they print, how they end."""

import json
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from ops import client
from ops.cli.main import main

ORDERED = {"queue": "money", "paused": True, "at": "t", "by": "ada"}
COUNTS = dict.fromkeys(("waiting", "active", "delayed", "completed", "dead", "cancelled"), 0)


class Server:
    """Answers every call with the same, and remembers them."""

    def __init__(self, answer: Any, status: int = 200) -> None:
        self.answer, self.status = answer, status
        self.asked: list[str] = []
        self.tokens: list[str | None] = []

    def serve(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.raw_path.decode()}".replace(client.API, ""))
        self.tokens.append(request.headers.get("authorization"))
        return httpx.Response(self.status, json=self.answer)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def called(server: Server, *arguments: str, **environment: str) -> Result:
        transport = httpx.MockTransport(server.serve)

        def made(url: str, token: str | None) -> client.Client:
            return original(url, token, transport)

        original = client.Client
        with monkeypatch.context() as patch:
            patch.setattr(client, "Client", made)
            return CliRunner().invoke(main, arguments, env=environment)

    return called


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (("queues", "pause", "money"), "POST /queues/money/pause"),
        (("queues", "pause", "money", "--reason", "x"), "POST /queues/money/pause?reason=x"),
        (("queues", "resume", "money", "--type", "t"), "POST /queues/money/resume?jobType=t"),
        (("jobs", "list", "money"), "GET /queues/money/jobs?status=waiting&start=0&end=9"),
        (
            ("jobs", "list", "money", "--start", "5", "--limit", "1"),
            "GET /queues/money/jobs?status=waiting&start=5&end=5",
        ),
    ],
)
def test_a_command_is_one_call(run: Any, arguments: tuple[str, ...], asked: str) -> None:
    server = Server([] if arguments[0] == "jobs" else ORDERED)
    answer = run(server, *arguments)
    assert (answer.exit_code, server.asked) == (0, [asked])


def test_the_token_of_the_environment_is_sent(run: Any) -> None:
    server = Server(ORDERED)
    run(server, "queues", "pause", "money", TIERFLOW_TOKEN="secret")
    assert server.tokens == ["Bearer secret"]


def test_the_list_marks_what_stands_still(run: Any) -> None:
    queue = {"name": "money", "tier": 1, "paused": True, "held": ["refund-process"], **COUNTS}
    answer = run(Server([queue]), "queues", "list")
    assert answer.output.splitlines()[1].endswith("paused, refund-process held")


def test_json_is_the_answer_of_the_gateway(run: Any) -> None:
    answer = run(Server(ORDERED), "queues", "pause", "money", "--json")
    assert json.loads(answer.output) == ORDERED


def test_a_clear_asks_first_and_names_the_queue_when_everything_goes(run: Any) -> None:
    server = Server({"name": "money", "cleared": ["waiting"], "before": "t"})
    assert run(server, "queues", "clear", "money").exit_code == 1
    assert server.asked == []
    run(server, "queues", "clear", "money", "--yes")
    run(server, "queues", "clear", "money", "--yes", "--state", "waiting")
    assert [asked for asked in server.asked if asked.startswith("POST")] == [
        "POST /queues/money/clear?confirm=money",
        "POST /queues/money/clear?type=waiting",
    ]


def test_each_job_is_cancelled_and_retried_by_its_id(run: Any) -> None:
    server = Server({"state": "waiting", "series": 2})
    assert run(server, "jobs", "cancel", "a", "b", "--reason", "x").exit_code == 0
    assert run(server, "jobs", "retry", "c").output == "c: series 2 is queued\n"
    assert server.asked == ["DELETE /jobs/a?reason=x", "DELETE /jobs/b?reason=x", "POST /jobs/c/retry"]


def test_a_job_is_shown_with_its_timeline(run: Any) -> None:
    job = {
        "id": "a", "queue": "q", "type": "t", "tier": 2, "state": "cancelled",
        "timeline": [
            {"at": "t0", "state": "waiting"}, {"at": "t1", "state": "cancelled", "reason": "by ada"},
        ],
    }  # fmt: skip
    answer = run(Server(job), "jobs", "get", "a")
    assert answer.output.splitlines() == [
        "a  q/t  tier 2  cancelled", "  t0  waiting", '  t1  cancelled  {"reason": "by ada"}',
    ]  # fmt: skip


@pytest.mark.parametrize(("status", "exit_code"), [(404, 1), (409, 1), (503, 2)])
def test_a_refusal_is_one_sentence_and_an_exit_status(run: Any, status: int, exit_code: int) -> None:
    server = Server({"detail": "no such job", "code": "not_found"}, status)
    answer = run(server, "jobs", "get", "a")
    assert answer.exit_code == exit_code
    assert answer.output == f"Error: no such job ({status} not_found)\n"


def test_a_gateway_that_is_away_is_exit_status_2(run: Any) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    server = Server(None)
    server.serve = refuse  # type: ignore[method-assign]
    answer = run(server, "queues", "list")
    assert answer.exit_code == 2
    assert "refused" in answer.output
