"""Job performance: how long jobs take and how they end."""

from ops.dashboards.panel import Board, Panel, Query, Shape, Unit, lines, number
from ops.dashboards.queries import RATE, quantile, rate
from ops.rules.promql import grown
from streams import metric_names as names

RESULTS, ATTEMPTS = names.JOB_RESULTS, 'result=~"success|failure|timeout|dead"'
ALL_ATTEMPTS = f"(sum(rate({RESULTS.name}{{{ATTEMPTS}}}{RATE})) > 0)"


def board() -> Board:
    """The dashboard."""
    return Board("job-performance", "Job performance", (*_now(), *_times(), *_failures(), *_repeats()))


def _now() -> tuple[Panel, ...]:
    """The whole at a glance."""
    return (
        number(
            "Success rate",
            "Attempts that succeeded, of all.",
            f'sum(rate({RESULTS.name}{{result="success"}}{RATE})) / {ALL_ATTEMPTS}',
            Unit.SHARE,
        ),
        number(
            "Attempts",
            "Handlers that ended.",
            f"sum(rate({RESULTS.name}{{{ATTEMPTS}}}{RATE}))",
            Unit.PER_SECOND,
        ),
        number("Running", "Handlers that run now.", f"sum({names.RUNNING.name})"),
        number("In memory", "Jobs read and not yet ended or parked.", f"sum({names.IN_MEMORY.name})"),
    )


def _times() -> tuple[Panel, ...]:
    """How long they take and wait."""
    return (
        Panel(
            "Time in the handler",
            "Each column is how the attempts of that time are spread.",
            (Query(f"sum by (le) (increase({names.DURATION.name}_bucket{RATE}))", "{{le}}"),),
            Unit.SECONDS,
            Shape.HEATMAP,
        ),
        lines(
            "Time in the handler, p95",
            "By type.",
            Query(quantile(0.95, names.DURATION, "job_type"), "{{job_type}}"),
            unit=Unit.SECONDS,
        ),
        lines(
            "Wait for a worker, p99",
            "From acceptance to the handler's start, by queue and lane.",
            Query(quantile(0.99, names.WAIT, "queue_name,lane"), "{{queue_name}} {{lane}}"),
            unit=Unit.SECONDS,
        ),
    )


def _failures() -> tuple[Panel, ...]:
    """What fails, and how much of all."""
    return (
        lines(
            "Failures",
            "Attempts that failed, were too slow, or were the last.",
            Query(
                rate(RESULTS, "job_type,result", 'result=~"failure|timeout|dead"'),
                "{{job_type}} {{result}}",
            ),
            unit=Unit.PER_SECOND,
            quiet=True,
        ),
        lines(
            "Failure rate",
            "Failed attempts, of all, by type.",
            Query(
                f'sum by (job_type) (rate({RESULTS.name}{{result=~"failure|timeout|dead"}}{RATE})) / '
                f"(sum by (job_type) (rate({RESULTS.name}{{{ATTEMPTS}}}{RATE})) > 0)",
                "{{job_type}}",
            ),
            unit=Unit.SHARE,
            quiet=True,
        ),
        lines(
            "Dead letters",
            "By type and error.",
            Query(rate(names.DEAD_LETTERS, "job_type,error_class"), "{{job_type}} {{error_class}}"),
            unit=Unit.PER_SECOND,
            quiet=True,
        ),
    )


def _repeats() -> tuple[Panel, ...]:
    """What runs again, and what does not."""
    return (
        lines(
            "Retries and duplicates",
            "Attempts that are due again; jobs answered by an earlier one.",
            Query(f"sum(rate({names.RETRIES.name}{RATE})) or vector(0)", "retries"),
            Query(f"sum(rate({names.DUPLICATES.name}{RATE})) or vector(0)", "duplicates"),
            unit=Unit.PER_SECOND,
        ),
        lines(
            "Types held",
            "Too many of their jobs died within a minute; a person lets them go on.",
            Query(grown(names.HELD, "15m", "job_type"), "{{job_type}}"),
            quiet=True,
            alarm=1,
        ),
    )
