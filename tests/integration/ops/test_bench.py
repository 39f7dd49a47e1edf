"""`tierflow bench` at a tiny size: every part of it runs, and its figures are of what really happened."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.stack import ROOT, clean_environment

LIMIT_S = 240


def bench(*arguments: str, bootstrap: str, folder: Path) -> dict[str, Any]:
    environment = clean_environment({"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "TMPDIR": str(folder)})
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli.main", "bench", *arguments, "--json"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    assert os.listdir(folder) == [], "nothing is left behind"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_stage_counts_every_record_once_as_committed(kafka_bootstrap: str, tmp_path: Path) -> None:
    found = bench("stage", "--records", "3000", "--no-quix", bootstrap=kafka_bootstrap, folder=tmp_path)
    ours, faust = found["stage"]["engines"]
    assert ours["outputs_counted"] == 3_000
    assert faust["outputs_counted"] >= 300
    assert found["stage"]["ratio_to_plain_faust"] > 0
    assert found["machine"]["kafka"] == "4.2.1"


def test_jobs_are_drained_and_readable(kafka_bootstrap: str, tmp_path: Path) -> None:
    found = bench("jobs", "--records", "100", "--no-profile", bootstrap=kafka_bootstrap, folder=tmp_path)
    jobs = found["jobs"]
    assert jobs["jobs"] == 100
    assert 0 < jobs["seconds"]["ended"] <= jobs["seconds"]["readable"] + 0.1
    assert {"router", "worker-2", "sink", "valkey"} <= jobs["cpu_us_per_job"].keys()
    assert jobs["threads_us_per_job"]["worker-2"].keys() == {"loop", "rdkafka", "other"}


@pytest.mark.long
@pytest.mark.skipif(not os.environ.get("TIERFLOW_LONG"), reason="long form: TIERFLOW_LONG=1")
def test_every_hop_of_a_job_is_measured(kafka_bootstrap: str, tmp_path: Path) -> None:
    found = bench("latency", "--records", "10", bootstrap=kafka_bootstrap, folder=tmp_path)
    assert len(found["latency"]["hops_ms"]) == 5
    assert found["latency"]["hops_ms"]["submit to handler start"]["p50"] > 0
