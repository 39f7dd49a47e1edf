"""The rules, as Prometheus itself evaluates them: each fires when it should and keeps quiet just below."""

import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from ops import prometheus
from ops.cli.main import main
from ops.rules import file
from ops.rules.alerts import Alert, alerts
from ops.rules.thresholds import THRESHOLDS, queues_of, threshold_of
from schemas.catalogue import QUEUES
from streams.metric_names import METRICS

PROMTOOL = prometheus.find("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason=prometheus.MISSING)

LAG_OF_SINK = 'kafka_consumergroup_lag_seconds{consumergroup="tierflow.sink-redis",topic="t",partition="0"}'
GROUP = 'consumergroup="tierflow.worker-1",topic="t",partition="0"'

# Alert -> series while it must fire, series while it must not; `7x60` is the value 7 for an hour.
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "MoneyQueueDeep": (
        {'queue_depth{queue_name="money",status="waiting"}': "51x120"},
        {
            'queue_depth{queue_name="money",status="waiting"}': "50x120",
            'queue_depth{queue_name="money",status="completed"}': "5000x120",
            'queue_depth{queue_name="robot",status="waiting"}': "5000x120",
        },
    ),
    "MoneyJobOld": (
        {'oldest_job_age_seconds{queue_name="money"}': "601x120"},
        {'oldest_job_age_seconds{queue_name="money"}': "600x120"},
    ),
    "MoneyJobsDead": (
        {'failed_jobs_total{queue_name="money"}': "11x120"},
        {'failed_jobs_total{queue_name="money"}': "10x120"},
    ),
    "CommunicationQueueDeep": (
        {'queue_depth{queue_name="agent-tasks",status="waiting"}': "5001x120"},
        {'queue_depth{queue_name="agent-tasks",status="waiting"}': "5000x120"},
    ),
    "CommunicationJobOld": (
        {'oldest_job_age_seconds{queue_name="chat_messages"}': "1801x120"},
        {'oldest_job_age_seconds{queue_name="chat_messages"}': "1800x120"},
    ),
    "CommunicationJobsDead": (
        {'failed_jobs_total{queue_name="communication"}': "101x120"},
        {'failed_jobs_total{queue_name="communication"}': "100x120"},
    ),
    "BackgroundQueueDeep": (
        {'queue_depth{queue_name="background",status="waiting"}': "50001x120"},
        {'queue_depth{queue_name="background",status="waiting"}': "50000x120"},
    ),
    "BackgroundJobOld": (
        {'oldest_job_age_seconds{queue_name="background"}': "7201x120"},
        {'oldest_job_age_seconds{queue_name="background"}': "7200x120"},
    ),
    "BackgroundJobsDead": (
        {'failed_jobs_total{queue_name="background"}': "1001x120"},
        {'failed_jobs_total{queue_name="background"}': "1000x120"},
    ),
    "DeadLetterRateJump": (
        # One queue jumps, the other's series begins with eleven at once.
        {
            'dead_letters_total{queue_name="robot",job_type="x",error_class="y"}': "0x105 5+5x15",
            'dead_letters_total{queue_name="money",job_type="x",error_class="y"}': "_x118 11x3",
        },
        # As many as ever is no jump, and a handful is none either.
        {
            'dead_letters_total{queue_name="robot",job_type="x",error_class="y"}': "0+5x120",
            'dead_letters_total{queue_name="money",job_type="x",error_class="y"}': "0x115 1+1x5",
            'dead_letters_total{queue_name="background",job_type="x",error_class="y"}': "_x118 9x3",
        },
    ),
    "TypeHeld": (
        {'types_held_total{queue_name="money",job_type="x"}': "_x118 1x3"},
        {'types_held_total{queue_name="money",job_type="x"}': "1x120"},
    ),
    "SinkLag": (
        {LAG_OF_SINK: "61x120"},
        {LAG_OF_SINK: "60x120", LAG_OF_SINK.replace("sink-redis", "w"): "90x120"},
    ),
    "ConsumerStalled": (
        {f"kafka_consumergroup_standing_seconds{{{GROUP}}}": "61x120"},
        {f"kafka_consumergroup_standing_seconds{{{GROUP}}}": "60x120"},
    ),
    "ConsumerWithoutMembers": (
        {'kafka_consumergroup_members{consumergroup="tierflow.router"}': "0x120"},
        # A restart: gone for less than a minute.
        {'kafka_consumergroup_members{consumergroup="tierflow.router"}': "1x119 0"},
    ),
    "ConsumerRewound": (
        {'kafka_consumergroup_rewinds_total{consumergroup="tierflow.router",topic="t"}': "0x110 1x10"},
        {'kafka_consumergroup_rewinds_total{consumergroup="tierflow.router",topic="t"}': "0x50 1x70"},
    ),
    "RecordsLost": (
        {'kafka_consumergroup_lost_offsets{consumergroup="tierflow.router",topic="t"}': "1x120"},
        {'kafka_consumergroup_lost_offsets{consumergroup="tierflow.router",topic="t"}': "0x120"},
    ),
    "LedgerUnbalanced": (
        {'ledger_findings{kind="missing"}': "1x120"},
        {'ledger_findings{kind="missing"}': "0x120"},
    ),
    "TransactionHangs": (
        {'kafka_topic_hidden_offsets{topic="t"}': "3x120"},
        {'kafka_topic_hidden_offsets{topic="t"}': "3x117 0 3x3"},
    ),
    "CircuitOpen": ({'circuit_state{group="stripe"}': "2x120"}, {'circuit_state{group="stripe"}': "1x120"}),
    "ProviderStopped": (
        {'rate_limit_stopped{group="stripe"}': "1x120"},
        {'rate_limit_stopped{group="stripe"}': "0x120"},
    ),
    "ServiceAway": (
        {'service_up{service="postgres"}': "0x120"},
        {'service_up{service="postgres"}': "1x120"},
    ),
    "MonitorBlind": (
        {"monitor_last_reading_timestamp_seconds": "0+60x100 6000x20"},
        {"monitor_last_reading_timestamp_seconds": "0+60x120"},
    ),
    "RoleDown": (
        {'up{job="tierflow",role="router",instance="a"}': "0x120"},
        {'up{job="tierflow",role="router",instance="a"}': "1x120"},
    ),
    "HandlersHang": (
        {'handlers_overdue{queue_name="robot",job_type="x"}': "1x120"},
        # One that took a few minutes more.
        {'handlers_overdue{queue_name="robot",job_type="x"}': "0x116 1x4"},
    ),
    "IllegalTransition": (
        {'illegal_transitions_total{move="completed active"}': "_x117 1x3"},
        {'illegal_transitions_total{move="completed active"}': "1x120"},
    ),
    "EngineLostOffsets": (
        {"tierflow_engine_lost_offsets_total": "0x110 4x10"},
        {"tierflow_engine_lost_offsets_total": "4x120"},
    ),
    "EngineOffsetsWentBack": (
        {"tierflow_engine_offsets_went_back_total": "0x110 1x10"},
        {"tierflow_engine_offsets_went_back_total": "1x120"},
    ),
}


def case(series: dict[str, str], name: str, *, fires: int) -> dict[str, Any]:
    """A test of promtool: how many of the alert fire after two hours of these series."""
    # Asked by the ALERTS series: the annotations are texts and no promise.
    question = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)'
    asked = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": question, "eval_time": "2h", "exp_samples": [{"labels": "{}", "value": fires}]}
        ],
    }
    return {"rule_files": [f"{name}.rules.yml"], "evaluation_interval": "1m", "tests": [asked]}


def evaluated(cases: list[dict[str, Any]], folder: Path) -> subprocess.CompletedProcess[str]:
    """Ask promtool; its standard error names the alerts that were not as expected.

    Each case is asked of its own alert alone, taken out of the file: all of them each time take minutes.
    """
    for group in yaml.safe_load(file.PATH.read_text())["groups"]:
        for rule in group["rules"]:
            alone = {"groups": [{**group, "rules": [rule]}]}
            (folder / f"{rule['alert']}.rules.yml").write_text(yaml.safe_dump(alone))
    files = [folder / f"{number}.yml" for number in range(len(cases))]
    for path, asked in zip(files, cases, strict=True):
        path.write_text(yaml.safe_dump(asked))
    command = [str(PROMTOOL), "test", "rules", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_alert_has_a_case() -> None:
    assert list(CASES) == [alert.name for alert in alerts()]


@needs_promtool
def test_every_alert_fires_when_it_should(tmp_path: Path) -> None:
    # A monitor that was never there is blind, too.
    blind = case({"up": "1x120"}, "MonitorBlind", fires=1)
    done = evaluated([blind, *(case(on, name, fires=len(on)) for name, (on, _) in CASES.items())], tmp_path)
    assert done.returncode == 0, done.stderr


@needs_promtool
def test_every_alert_keeps_quiet_just_below(tmp_path: Path) -> None:
    done = evaluated([case(off, name, fires=0) for name, (_, off) in CASES.items()], tmp_path)
    assert done.returncode == 0, done.stderr


@needs_promtool
def test_the_cases_can_fail(tmp_path: Path) -> None:
    on, off = CASES["MoneyQueueDeep"]
    assert evaluated([case(on, "MoneyQueueDeep", fires=0)], tmp_path).returncode == 1
    assert evaluated([case(off, "MoneyQueueDeep", fires=1)], tmp_path).returncode == 1


@needs_promtool
def test_prometheus_takes_the_file() -> None:
    command = [str(PROMTOOL), "check", "rules", "--lint=all", "--lint-fatal", str(file.PATH)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_file_is_what_the_alerts_make() -> None:
    assert file.PATH.read_text() == file.text(), "run `tierflow dashboards`"


def test_every_metric_of_a_condition_is_declared() -> None:
    known = {metric.name for metric in METRICS} | {"up"}
    words = {
        "sum",
        "max",
        "by",
        "and",
        "or",
        "absent",
        "time",
        "increase",
        "rate",
        "offset",
        "min_over_time",
        "unless",
    }
    for alert in alerts():
        bare = re.sub(r'\{[^}]*\}|\[[^\]]*\]|"[^"]*"|by \([^)]*\)|offset \w+', " ", alert.condition)
        assert set(re.findall(r"[a-z_]{2,}", bare)) - words <= known, alert.name


def test_every_queue_falls_into_one_class() -> None:
    classes = [queue for threshold in THRESHOLDS for queue in queues_of(threshold)]
    assert sorted(classes) == sorted(QUEUES)
    assert {queue for threshold in THRESHOLDS for queue in threshold.queues} == set(QUEUES)


def test_a_queue_of_a_job_author_is_watched_like_communication() -> None:
    assert threshold_of("my-queue").name == "communication"


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_every_command_that_an_alert_recommends_exists(alert: Alert) -> None:
    for command in re.findall(r"tierflow ([a-z]+(?: [a-z]+)?)", alert.action):
        assert exists(command.split()), command


def exists(words: list[str]) -> bool:
    found: Any = main
    for word in words:
        if not isinstance(found, click.Group):
            return True
        following = found.get_command(click.Context(found), word)
        if following is None:
            return found is not main
        found = following
    return True
