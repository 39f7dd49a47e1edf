"""Queue overview: how many jobs stand where."""

from ops.dashboards.panel import Board, Panel, Query, Shape, Unit, lines, number
from ops.dashboards.queries import rate
from ops.rules.thresholds import THRESHOLDS
from streams import metric_names as names

DEPTH, MONEY = names.QUEUE_DEPTH.name, THRESHOLDS[0]
ENDED = 'result=~"success|dead|duplicate|cancelled"'


def board() -> Board:
    """The dashboard."""
    return Board("queue-overview", "Queue overview", (*_now(), *_waiting(), *_flow(), *_by_queue()))


def _now() -> tuple[Panel, ...]:
    """The whole at a glance."""
    return (
        number("Waiting", "Jobs that wait for a worker.", f'sum({DEPTH}{{status="waiting"}})'),
        number("Active", "Jobs that run.", f'sum({DEPTH}{{status="active"}})'),
        number(
            "Delayed",
            "Jobs that are due later, retries too.",
            f'sum({DEPTH}{{status=~"delayed|failed"}})',
        ),
        number(
            "Dead",
            "Jobs that only a person can help.",
            f"sum({names.FAILED_JOBS.name})",
            warn=1,
            alarm=100,
        ),
    )


def _waiting() -> tuple[Panel, ...]:
    """What waits, and for how long."""
    return (
        lines(
            "Waiting by queue",
            "More than the alert allows: see the rules.",
            Query(f'{DEPTH}{{status="waiting"}}', "{{queue_name}}"),
        ),
        lines(
            "Oldest waiting job",
            "Operators act on time, not on counts.",
            Query(names.OLDEST_JOB.name, "{{queue_name}}"),
            unit=Unit.SECONDS,
            alarm=MONEY.oldest_s,
        ),
    )


def _flow() -> tuple[Panel, ...]:
    """What comes and goes."""
    return (
        lines(
            "Accepted",
            "Jobs and events that Kafka acknowledged.",
            Query(rate(names.ACCEPTED, "queue_name"), "{{queue_name}}"),
            unit=Unit.PER_SECOND,
        ),
        lines(
            "Ended",
            "Jobs that came to an end, whichever.",
            Query(rate(names.JOB_RESULTS, "queue_name", ENDED), "{{queue_name}}"),
            unit=Unit.PER_SECOND,
        ),
    )


def _by_queue() -> tuple[Panel, ...]:
    """Queue by queue."""
    return (
        lines(
            "Dead by queue",
            "As they stand now.",
            Query(names.FAILED_JOBS.name, "{{queue_name}}"),
            alarm=MONEY.failed,
        ),
        lines(
            "Worker processes",
            "Members of the group that runs a queue's jobs.",
            Query(names.ACTIVE_WORKERS.name, "{{queue_name}}"),
        ),
        Panel(
            "Jobs by queue and state",
            "Ended ones since the topics' beginning.",
            (Query(f"sum by (queue_name, status) ({DEPTH}) > 0", ""),),
            shape=Shape.TABLE,
            width=24,
        ),
    )
