"""Alerts: what is wrong now, and was."""

from ops.dashboards.panel import Board, Panel, Query, Shape, Unit, lines, number
from ops.rules.promql import grown
from streams import metric_names as names

FIRING = 'ALERTS{alertstate="firing"}'
_LETTERS = """
select last_failed_at as "time", queue, type, error_class, message, job_id
from dead_letter_jobs order by last_failed_at desc, letter_id desc limit 50
""".strip()


def board() -> Board:
    """The dashboard."""
    return Board("alerts", "Alerts", (*_now(), *_firing(), *_behind_them()))


def _now() -> tuple[Panel, ...]:
    """How many."""
    return (
        *(
            number(
                f"Firing: {severity}",
                "Alerts now.",
                f'count(ALERTS{{alertstate="firing",severity="{severity}"}}) or vector(0)',
                alarm=1,
            )
            for severity in ("critical", "warning", "info")
        ),
        number(
            "Dead letters in an hour",
            "Of all queues.",
            f"sum({grown(names.DEAD_LETTERS, '1h', 'queue_name')}) or vector(0)",
            warn=1,
        ),
    )


def _firing() -> tuple[Panel, ...]:
    """Which."""
    return (
        Panel(
            "Firing now",
            "With their severity.",
            (Query(FIRING),),
            shape=Shape.TABLE,
            quiet=True,
            width=24,
        ),
        lines(
            "Firing over time",
            "By alert.",
            Query(f"sum by (alertname) ({FIRING})", "{{alertname}}"),
            quiet=True,
        ),
    )


def _behind_them() -> tuple[Panel, ...]:
    """What they are about."""
    return (
        lines(
            "Services",
            "1: it answers the monitor.",
            Query(names.SERVICE_UP.name, "{{service}}"),
            unit=Unit.STATE,
        ),
        Panel("Latest dead letters", "From PostgreSQL.", (), shape=Shape.TABLE, sql=_LETTERS, width=24),
    )
