"""On the whole stack: jobs die, are driven again with the command, and the audit accounts for all of it."""

import json
import subprocess
import sys
import time
from typing import Any

from confluent_kafka import Producer

from schemas.records import JobRequest
from streams.codec import Codec
from tests.integration.connectors.sinking import await_true
from tests.stack import ROOT, TestStack, clean_environment
from tests.unit.connectors.gateway.fakes import formula

# Fewer than what holds a type whose jobs die.
JOBS = 8


def run(stack: TestStack, *arguments: str) -> tuple[int, Any]:
    """A command on the stack: its exit status and what it says in JSON."""
    environment = clean_environment({"TIERFLOW_DATA": str(stack.folder.root), "TIERFLOW_LOG_LEVEL": "ERROR"})
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli.main", *arguments, "--json"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else None


def submit(stack: TestStack) -> None:
    """Jobs whose formula is none, and a record that is no job."""
    producer = Producer({"bootstrap.servers": stack.state.kafka_bootstrap, "partitioner": "murmur2_random"})
    for number in range(JOBS):
        data = {**formula(f"dead-{number}")["data"], "formula": "=(("}
        record = JobRequest(
            f"dead-{number}",
            "robot",
            "formula_calculation",
            json.dumps(data),
            # Not earlier: what was accepted before another test's clear would be cancelled.
            time.time_ns() // 1_000_000,
            tenant_id="dead-letters",
        )
        producer.produce("tierflow.job-requests", Codec().encode(record), record.job_id)
    producer.produce("tierflow.job-requests", b"junk", "k", headers={"tenant": b"dead-letters"})
    assert producer.flush(60) == 0


def test_dead_jobs_are_driven_again_and_everything_is_accounted_for(running_stack: TestStack) -> None:
    mine = ("--tenant-id", "dead-letters")
    submit(running_stack)
    await_true(lambda: run(running_stack, "dlq", "stats", *mine)[1]["total"] == JOBS + 1, "every letter", 180)
    [group, *_] = run(running_stack, "dlq", "groups", *mine)[1]
    assert (group["count"], group["open"]) == (JOBS, JOBS)

    status, failed = run(running_stack, "dlq", "redrive", *mine, "--queue", "robot", "--execute")
    assert (status, failed["state"], failed["progress"]["sent"]) == (1, "stopped", 1)

    # The one that the canary drove is dead again: its status may be seen before its new letter is kept.
    await_true(
        lambda: run(running_stack, "dlq", "stats", *mine)[1]["total"] == JOBS + 1, "all open again", 180
    )
    patch = ("--patch", '{"formula": "=2"}', "--execute")
    status, mended = run(running_stack, "dlq", "redrive", *mine, "--queue", "robot", *patch)
    assert (status, mended["state"]) == (0, "done")
    assert mended["progress"] == {"total": JOBS, "sent": JOBS, "completed": JOBS, "failing": 0, "refused": 0}
    assert (
        run(running_stack, "dlq", "redrive", *mine, "--queue", "robot", *patch)[1]["progress"]["total"] == 0
    )

    [junk] = run(running_stack, "dlq", "list", *mine)[1]["failed"]
    shown = run(running_stack, "dlq", "show", junk["id"])[1]
    assert shown["original"]["value"] == "anVuaw=="

    def audited() -> bool:
        status, report = run(running_stack, "audit")
        assert (status, report["findings"]) == (0, []), report["findings"]
        tier = report["balance"]["tiers"]["2"]
        return bool(tier["pending"] == 0 and tier["came"] >= 2 * JOBS + 1)

    await_true(audited, "nothing pending any more", 180)
