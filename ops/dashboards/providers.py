"""Providers: limits, breakers and waits of what is outside."""

from ops.dashboards.panel import Board, Panel, Query, Unit, lines
from ops.dashboards.queries import quantile, rate
from streams import metric_names as names

GROUP = "{{group}}"


def board() -> Board:
    """The dashboard."""
    return Board("providers", "Providers", (*_limits(), *_calls()))


def _limits() -> tuple[Panel, ...]:
    """What may start, and what may not."""
    return (
        lines("Tokens", "Calls that could start now.", Query(names.TOKENS.name, GROUP)),
        lines("Concurrent calls", "That run or may start at once.", Query(names.CONCURRENT.name, GROUP)),
        lines(
            "Circuit",
            "0 closed, 1 half open, 2 open.",
            Query(names.CIRCUIT.name, GROUP),
            unit=Unit.STATE,
            alarm=2,
        ),
        lines(
            "Stopped by hand",
            "1 while an operator has stopped it.",
            Query(names.STOPPED.name, GROUP),
            unit=Unit.STATE,
            alarm=1,
        ),
    )


def _calls() -> tuple[Panel, ...]:
    """What waits and what was allowed."""
    return (
        lines(
            "Wait for the limit, p99",
            "Of jobs that were ready.",
            Query(quantile(0.99, names.RATE_WAIT, "group"), GROUP),
            unit=Unit.SECONDS,
            quiet=True,
        ),
        lines(
            "Calls allowed",
            "Tokens granted.",
            Query(rate(names.TOKENS_GRANTED, "group"), GROUP),
            unit=Unit.PER_SECOND,
            quiet=True,
        ),
        lines(
            "Asked for",
            "Requests of workers and operators.",
            Query(rate(names.LIMIT_REQUESTS, "group"), GROUP),
            unit=Unit.PER_SECOND,
            quiet=True,
        ),
    )
