"""Every alert: its condition over the declared metrics, how long it must hold, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass

from ops.rules.promql import grown
from ops.rules.thresholds import THRESHOLDS, Threshold, queues_of
from streams import metric_names as names
from streams.metric import Metric

GUIDE = "docs/operations.md"


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `summary` is a Prometheus template; `hold` is how long the condition must be true."""

    name: str
    type: str
    severity: str
    condition: str
    summary: str
    action: str
    hold: str = "0s"


def alerts() -> list[Alert]:
    """All of them."""
    return [*_queues(), *_consumers(), *_providers(), *_system()]


def _queues() -> Iterator[Alert]:
    for threshold in THRESHOLDS:
        yield from _of_class(threshold)
    dead = names.DEAD_LETTERS
    yield Alert(
        "DeadLetterRateJump", "dead_letters", "warning",
        # More than ten in five minutes, and five times what the hour before would let one expect.
        f"{grown(dead, '5m', 'queue_name')} > 10 unless {grown(dead, '5m', 'queue_name')} / 300 <= "
        f"5 * sum by (queue_name) (rate({dead.name}[1h] offset 5m))",
        "{{ $labels.queue_name }}: {{ $value | humanize }} dead letters in five minutes",
        "tierflow dlq groups shows what they have in common",
    )  # fmt: skip
    yield Alert(
        "TypeHeld", "type_held", "warning",
        f"{grown(names.HELD, '15m', 'queue_name, job_type')} > 0",
        "{{ $labels.job_type }} is held: too many of its jobs died",
        "tierflow dlq groups; mend the cause, then: "
        "tierflow queues resume {{ $labels.queue_name }} --type {{ $labels.job_type }}",
    )  # fmt: skip


def _of_class(of: Threshold) -> Iterator[Alert]:
    chosen = f'queue_name=~"{"|".join(queues_of(of))}"'
    title = of.name.capitalize()
    yield Alert(
        f"{title}QueueDeep", "queue_depth", of.severity,
        f'{names.QUEUE_DEPTH.name}{{status="waiting",{chosen}}} > {of.depth}',
        "{{ $labels.queue_name }}: {{ $value }} jobs wait",
        "tierflow lag; start more workers of the tier, or find what holds them",
    )  # fmt: skip
    yield Alert(
        f"{title}JobOld", "job_age", of.severity,
        f"{names.OLDEST_JOB.name}{{{chosen}}} > {of.oldest_s}",
        "{{ $labels.queue_name }}: the oldest job waits for {{ $value | humanizeDuration }}",
        "tierflow lag; is the queue paused, the provider stopped, or a worker stalled?",
    )  # fmt: skip
    yield Alert(
        f"{title}JobsDead", "high_failures", of.severity,
        f"{names.FAILED_JOBS.name}{{{chosen}}} > {of.failed}",
        "{{ $labels.queue_name }}: {{ $value }} jobs are dead",
        "tierflow dlq groups; mend the cause, then tierflow dlq redrive",
    )  # fmt: skip


def _consumers() -> Iterator[Alert]:
    sinks = 'consumergroup=~".*sink-(postgres|redis)"'
    group = "{{ $labels.consumergroup }}"
    yield Alert(
        "SinkLag", "sink_lag", "warning",
        f"max by (consumergroup) ({names.LAG_SECONDS.name}{{{sinks}}}) > 60",
        f"{group}: a record is unwritten for {{{{ $value | humanizeDuration }}}}",
        "is PostgreSQL or Valkey away? tierflow lag shows where it stands",
    )  # fmt: skip
    yield Alert(
        "ConsumerStalled", "consumer_stalled", "critical", f"{names.STANDING.name} > 60",
        f"{group} stands at {{{{ $labels.topic }}}}-{{{{ $labels.partition }}}}",
        "look at the log of that role; a restart is safe",
    )  # fmt: skip
    yield Alert(
        "ConsumerWithoutMembers", "consumer_away", "critical", f"{names.MEMBERS.name} == 0",
        f"{group} has no member: nobody does its work", "start the role; tierflow status", "1m",
    )  # fmt: skip
    yield Alert(
        "ConsumerRewound", "consumer_rewound", "warning",
        f"sum by (consumergroup) (increase({names.REWINDS.name}[10m])) > 0",
        f"{group} went back and reads records again",
        "expected after a restore or a reset by hand; else look at the brokers",
    )  # fmt: skip
    yield Alert(
        "RecordsLost", "loss", "critical", f"sum by (consumergroup, topic) ({names.LOST.name}) > 0",
        f"{group}: {{{{ $labels.topic }}}} dropped {{{{ $value }}}} offsets that were not read",
        "retention was shorter than the lag; lengthen it, and look what the rows lack",
    )  # fmt: skip
    yield Alert(
        "LedgerUnbalanced", "ledger", "critical", f"sum by (kind) ({names.LEDGER_FINDINGS.name}) > 0",
        "the ledger finds {{ $value }} records {{ $labels.kind }}",
        "tierflow audit names each, with its job and where it stands",
    )  # fmt: skip
    yield Alert(
        "TransactionHangs", "transaction", "warning", f"min_over_time({names.HIDDEN.name}[2m]) > 0",
        "{{ $labels.topic }}: records stand behind a transaction that does not end",
        "restart the role that wrote it under its TIERFLOW_INSTANCE", "2m",
    )  # fmt: skip


def _providers() -> Iterator[Alert]:
    yield Alert(
        "CircuitOpen", "circuit_open", "warning", f"max by (group) ({names.CIRCUIT.name}) == 2",
        "the circuit of {{ $labels.group }} is open", "the provider fails; jobs wait and go on by themselves",
    )  # fmt: skip
    yield Alert(
        "ProviderStopped", "provider_stopped", "critical", f"max by (group) ({names.STOPPED.name}) == 1",
        "{{ $labels.group }} is stopped by an operator", "POST /api/v1/rate-limits/resume lets it go on",
    )  # fmt: skip


def _system() -> Iterator[Alert]:
    yield Alert(
        "ServiceAway", "service_away", "critical", f"{names.SERVICE_UP.name} == 0",
        "{{ $labels.service }} does not answer", "bring it back; nothing is lost meanwhile", "30s",
    )  # fmt: skip
    yield Alert(
        "MonitorBlind", "monitor", "critical",
        f"absent({names.MONITOR_READ_AT.name}) or time() - max({names.MONITOR_READ_AT.name}) > 60",
        "lag has not been read for a minute: the alerts above are blind", "start the monitor role", "1m",
    )  # fmt: skip
    yield Alert(
        "RoleDown", "role_down", "warning", 'up{job="tierflow"} == 0',
        "{{ $labels.role }} {{ $labels.instance }} does not answer", "its supervisor should restart it", "1m",
    )  # fmt: skip
    yield Alert(
        "HandlersHang", "hung", "warning", f"sum by (job_type) ({names.OVERDUE.name}) > 0",
        "{{ $value }} functions of {{ $labels.job_type }} go on past their time, each with a slot",
        "the worker's log names their jobs; let them end, or run them in processes (cpu=True)", "5m",
    )  # fmt: skip
    yield Alert(
        "IllegalTransition", "defect", "critical", f"{grown(names.ILLEGAL, '15m', 'move')} > 0",
        "{{ $labels.move }} was refused: a defect", "keep the log of that role; it names the job",
    )  # fmt: skip
    yield _any("EngineLostOffsets", names.LOST_OFFSETS, "source offsets were gone before they were read")
    yield _any(
        "EngineOffsetsWentBack", names.WENT_BACK, "the brokers forgot a committed offset; it was caught"
    )


def _any(name: str, counter: Metric, summary: str) -> Alert:
    """A counter that should never move."""
    return Alert(
        name, "defect", "critical", f"sum(increase({counter.name}[15m])) > 0", summary,
        "keep the log of that role; it names the job or the partition",
    )  # fmt: skip
