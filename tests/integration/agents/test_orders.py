"""Orders of people on a real Kafka: queues stop within a second everywhere, jobs end wherever they stand."""

import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from click.testing import CliRunner

from connectors.kafka.redrive import next_series
from ops.cli.main import main
from ops.stack.ports import Ports
from schemas.commands import Cancel, cancel_request
from schemas.records import Backoff, Control, JobOptions, JobRequest
from streams.core.admission import Source, job_of_request
from streams.core.orders import key_of
from tests.integration.agents.rig import Rig

LONG = Backoff(type="fixed", delay_ms=600_000, max_delay_ms=600_000, jitter=False)
NOWHERE = Source("", 0, 0)
# Seconds that only the task of these tests sleeps.
MARK = str(1_000_000 + os.getpid())
# So many jobs of a type die before it is held.
LEAST = 6


class Desk(Rig):
    """A rig from which orders are given."""

    def __init__(self, bootstrap: str, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(bootstrap, folder, settings)
        self._ports: dict[str, int] = {}

    def order(self, action: str, queue: str, **members: Any) -> None:
        """Write an order; returns when it was acknowledged."""
        order = Control(action, queue, time.time_ns() // 1_000_000, "ada", **members)
        self._producer.produce(self.topology.control, self.codec.encode(order), key_of(order).encode())
        self.flush()

    def heard(self, action: str, queue: str, **members: Any) -> float:
        """Write an order; returns when both workers have said that they obey it."""
        before = [self._told(name, action) for name in ("a", "b")]
        self.order(action, queue, **members)
        self.wait(lambda: all(self._told(n, action) > b for n, b in zip(("a", "b"), before, strict=True)))
        return time.time()

    def _told(self, name: str, action: str) -> int:
        lines = (self.folder / f"{name}.log").read_text().splitlines()
        return sum('"ordered"' in line and f'"{action}"' in line for line in lines)

    def talk(self, conversation: str, options: JobOptions | None = None, **script: Any) -> JobRequest:
        """A job ordered by its conversation."""
        data = {"userId": "u", "conversationId": conversation, "message": "m", "script": script}
        return self.submit("chat_messages", "chat-message", data, options)

    def submit(
        self, queue: str, kind: str, data: dict[str, Any], options: JobOptions | None = None
    ) -> JobRequest:
        """A job of any kind."""
        now = time.time_ns() // 1_000_000
        request = JobRequest(str(uuid.uuid4()), queue, kind, json.dumps(data), now, options or JobOptions())
        self.put(request)
        return request

    def put(self, request: JobRequest) -> None:
        """Hand in a request, under the key of its job."""
        key = request.ordering_key or job_of_request(request, NOWHERE).ordering_key
        self._producer.produce(self.topology.job_requests, self.codec.encode(request), key.encode())
        self.flush()

    def cancel(self, request: JobRequest, series: int = 0) -> None:
        """Order the end of a job."""
        order = Cancel(request.job_id, 2, "ada", series, "a mistake")
        key = job_of_request(request, NOWHERE).ordering_key
        at = time.time_ns() // 1_000_000
        self.put(cancel_request(order, key, command_id=str(uuid.uuid4()), at=at))

    def worker(self, name: str) -> None:
        """A worker whose figures can be read."""
        port = self._ports.setdefault(name, Ports(self._ports).get(name))
        program = "tests.integration.agents.scripted_worker"
        self._start(name, program, str(self.effects), TIERFLOW_METRICS_PORT=str(port))

    def gateway(self) -> str:
        """Start a gateway that asks nobody who he is; its URL. What needs its stores is not asked of it."""
        port = str(Ports(self._ports).get("gateway"))
        self._start("gateway", "ops.cli.main", "gateway", TIERFLOW_AUTH="open", TIERFLOW_PORT=port)
        return f"http://127.0.0.1:{port}"

    def figure(self, series: str) -> float:
        """A counter of both workers together."""
        urls = [f"http://127.0.0.1:{self._ports[name]}/metrics" for name in ("a", "b")]
        answers = [httpx.get(url, timeout=60).text for url in urls]
        lines = [line for answer in answers for line in answer.splitlines() if line.startswith(series)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def state(self, request: JobRequest) -> str:
        """The last state that was written."""
        moves = self.moves(request.job_id)
        return moves[-1] if moves else "waiting"

    def until(self, request: JobRequest, state: str, limit_s: float = 180) -> None:
        """Wait for a state."""
        self.wait(lambda: self.state(request) == state, limit_s)

    def started_at(self, request: JobRequest) -> list[float]:
        """When its attempts started."""
        moves = [move for record in self.histories[request.job_id] for move in record.transitions]
        return [move.at / 1000 for move in moves if move.to_state == "active" and move.progress is None]


@pytest.fixture(scope="module")
def desk(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "task.sh").write_text(f"sleep {MARK} &\nsetsid sleep {MARK} &\nsleep {MARK}\n")
    settings = {
        "TIERFLOW_HOLD_LEAST": str(LEAST),
        "TIERFLOW_CODING_COMMAND": f"sh {folder / 'task.sh'}",
        "TIERFLOW_CODING_ROOT": str(folder),
    }
    made = Desk(kafka_bootstrap, folder, settings)
    made.router()
    made.worker("a")
    made.worker("b")
    first = made.talk("first")
    made.until(first, "completed")
    yield made
    made.stop()


# -- pause


def flow(desk: Desk, seconds: float) -> list[JobRequest]:
    """Jobs of many keys, so that both workers have some all the time."""
    jobs, end = [], time.time() + seconds
    while time.time() < end:
        jobs += [desk.talk(f"flow-{uuid.uuid4()}") for _ in range(4)]
        desk.read()
    return jobs


def test_a_pause_holds_on_both_workers_and_over_their_restart(desk: Desk) -> None:
    while {"a", "b"} - {record.worker for records in desk.histories.values() for record in records}:
        flow(desk, 0.5)  # until both have their share of the partitions
    before = flow(desk, 1.0)
    heard_at = desk.heard("pause", "chat_messages")
    during = flow(desk, 2.0)
    for name in ("a", "b"):
        desk.kill(name)
        desk.worker(name)
    other = desk.send("send-email", {"to": "a@example.com", "template": "t"})
    desk.flush()
    desk.wait(lambda: desk.ends(other) == ["completed"])
    assert [at for job in before + during for at in desk.started_at(job) if at > heard_at] == []
    assert [job for job in during if desk.started_at(job)] == []
    desk.order("resume", "chat_messages")
    desk.wait(lambda: all(desk.ends(job.job_id) == ["completed"] for job in before + during))


def test_a_clear_ends_what_waits_in_a_paused_queue_and_nothing_that_comes_later(desk: Desk) -> None:
    desk.heard("pause", "chat_messages")
    old = [desk.talk(f"old-{n}") for n in range(50)]
    delayed = desk.talk("late", JobOptions(delay_ms=3_600_000))
    desk.until(delayed, "delayed")
    desk.order("clear", "chat_messages", before=time.time_ns() // 1_000_000)
    desk.wait(lambda: all(desk.ends(job.job_id) == ["cancelled"] for job in [*old, delayed]))
    young = desk.talk("young")
    desk.order("resume", "chat_messages")
    desk.until(young, "completed")


# -- held


def test_a_type_whose_jobs_all_die_is_held_and_the_rest_of_it_waits_for_a_person(desk: Desk) -> None:
    kind = ("validation_requests", "validation-request")
    bad = {"conversationId": "bad-deploy", "script": {"refuse": True}}
    # One key, so one worker and one after the other: the count is exact.
    dying = [desk.submit(*kind, bad) for _ in range(LEAST)]
    desk.wait(lambda: all(desk.ends(job.job_id) == ["dead"] for job in dying))
    url = desk.gateway()
    held = 'types_held_total{job_type="validation-request",queue_name="validation_requests"}'
    desk.wait(lambda: desk.figure(held) == 1)
    rest = [desk.submit(*kind, bad | {"script": {}}) for _ in range(4)]
    elsewhere = desk.submit(*kind, {"conversationId": "elsewhere"})
    other = [desk.talk("bad-deploy") for _ in range(3)]
    desk.wait(lambda: all(desk.ends(job.job_id) == ["completed"] for job in other))
    waiting = [*rest, elsewhere]
    assert [desk.ends(job.job_id) for job in waiting] == [[]] * len(waiting)
    desk.wait(lambda: len([letter for letter in desk.letters if letter.type == kind[1]]) == LEAST)
    resume = ["queues", "resume", kind[0], "--type", kind[1], "--url", url]
    desk.wait(lambda: CliRunner().invoke(main, resume).exit_code == 0)
    desk.wait(lambda: all(desk.ends(job.job_id) == ["completed"] for job in waiting))


# -- cancel


def test_a_delayed_job_ends_at_once(desk: Desk) -> None:
    job = desk.talk("delayed", JobOptions(delay_ms=3_600_000))
    desk.until(job, "delayed")
    desk.cancel(job)
    desk.until(job, "cancelled")
    reasons = [move.reason for record in desk.histories[job.job_id] for move in record.transitions]
    assert reasons[-1] == "by ada: a mistake"


def test_a_job_that_waits_for_its_retry_ends_and_its_key_goes_on(desk: Desk) -> None:
    job = desk.talk("retrying", JobOptions(attempts=5, backoff=LONG), fail=9)
    desk.until(job, "delayed")
    following = desk.talk("retrying")
    desk.cancel(job)
    desk.until(following, "completed")
    assert desk.ends(job.job_id) == ["cancelled"]


def test_a_job_behind_another_ends_and_the_one_in_front_does_not(desk: Desk) -> None:
    front = desk.talk("busy", listen=True)
    behind = desk.talk("busy")
    last = desk.talk("busy")
    desk.until(front, "active")
    desk.cancel(behind)
    desk.until(behind, "cancelled")
    assert desk.ends(front.job_id) == []
    desk.cancel(front)
    desk.until(last, "completed")
    assert desk.ends(front.job_id) == ["cancelled"]


def test_a_running_job_that_listens_ends_by_itself(desk: Desk) -> None:
    job = desk.talk("listener", listen=True)
    desk.until(job, "active")
    desk.cancel(job)
    desk.until(job, "cancelled")
    assert f"{job.job_id} heard" in desk.effects.read_text()


def test_a_running_job_that_does_not_listen_is_stopped_and_its_key_goes_on(desk: Desk) -> None:
    job = desk.talk("stubborn", sleep=600)
    following = desk.talk("stubborn")
    desk.until(job, "active")
    desk.cancel(job)
    desk.until(job, "cancelled")
    desk.until(following, "completed")


def test_a_cancel_that_comes_before_its_job_is_remembered(desk: Desk) -> None:
    now = time.time_ns() // 1_000_000
    data = json.dumps({"userId": "u", "conversationId": "early", "message": "m"})
    job = JobRequest(str(uuid.uuid4()), "chat_messages", "chat-message", data, now)
    desk.cancel(job)
    witness = desk.talk("early", JobOptions(priority=10))
    desk.until(witness, "completed")
    desk.put(job)
    desk.until(job, "cancelled")
    assert desk.started_at(job) == []


def test_a_cancel_survives_the_kill_of_the_worker_that_was_asked(desk: Desk) -> None:
    job = desk.talk("outlived", sleep=600)
    desk.until(job, "active")
    desk.cancel(job)
    witness = desk.talk("witness", JobOptions(priority=10))
    desk.until(witness, "completed")
    for name in ("a", "b"):
        desk.kill(name)
        desk.worker(name)
    desk.until(job, "cancelled")
    assert len([start for start in desk.executions() if start[0] == job.job_id]) == 1


def test_a_cancel_of_a_job_that_has_ended_does_nothing(desk: Desk) -> None:
    job = desk.talk("over")
    desk.until(job, "completed")
    desk.cancel(job)
    following = desk.talk("over")
    desk.until(following, "completed")
    assert desk.ends(job.job_id) == ["completed"]


# -- another series


def test_a_dead_job_runs_again_as_another_series_and_a_repeat_of_the_request_does_nothing(desk: Desk) -> None:
    request = desk.talk("revived", JobOptions(attempts=1), fail=1)
    desk.until(request, "dead")
    again = next_series(job_of_request(request, NOWHERE))
    desk.put(again)
    desk.wait(lambda: len(desk.ends(request.job_id)) == 2)
    desk.put(again)
    following = desk.talk("revived")
    desk.until(following, "completed")
    histories = desk.histories[request.job_id]
    assert [(record.series, move.to_state) for record in histories for move in record.transitions] == [
        (0, "active"), (0, "dead"), (1, "active"), (1, "dead"),
    ]  # fmt: skip
    assert [move.number for record in histories for move in record.transitions] == [1, 2, 1, 2]


# -- a command's processes


def test_a_coding_tasks_whole_process_group_ends_with_its_job(desk: Desk) -> None:
    data = {"taskId": str(uuid.uuid4()), "prompt": "work", "userId": str(uuid.uuid4())}
    job = desk.submit("agent-tasks", "coding-task", data)
    desk.wait(lambda: len(sleeping()) == 3)
    desk.cancel(job)
    desk.until(job, "cancelled")
    desk.wait(lambda: sleeping() == [])


def sleeping() -> list[int]:
    """The processes that sleep for so long."""
    found = psutil.process_iter(["cmdline"])
    return [each.pid for each in found if each.info["cmdline"] == ["sleep", MARK]]
