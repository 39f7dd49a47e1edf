"""Consumer lag: who is how far behind, as the brokers see it."""

from ops.dashboards.panel import Board, Panel, Query, Shape, Unit, lines, number
from ops.dashboards.queries import RATE
from streams import metric_names as names

LAG, SECONDS = names.LAG.name, names.LAG_SECONDS.name
GROUP = "{{consumergroup}}"


def board() -> Board:
    """The dashboard."""
    return Board("consumer-lag", "Consumer lag", (*_now(), *_behind(), *_movement(), *_details()))


def _now() -> tuple[Panel, ...]:
    """The whole at a glance."""
    return (
        number("Unread records", "Of all groups.", f"sum({LAG})"),
        number("Oldest unread record", "Of all groups.", f"max({SECONDS})", Unit.SECONDS, warn=30, alarm=60),
        number(
            "Slowest to drain",
            "Of those that will be through.",
            f"max({names.DRAIN.name} < +Inf)",
            Unit.SECONDS,
        ),
        number(
            "Groups that fall behind",
            "They never drain at these rates.",
            f"count({names.DRAIN.name} == +Inf) or vector(0)",
            warn=1,
        ),
    )


def _behind() -> tuple[Panel, ...]:
    """How far behind."""
    return (
        lines(
            "Lag in seconds",
            "Age of the oldest record that a group has not done.",
            Query(f"max by (consumergroup) ({SECONDS})", GROUP),
            unit=Unit.SECONDS,
            alarm=60,
        ),
        lines(
            "Lag in records",
            "Markers of transactions are no records.",
            Query(f"sum by (consumergroup) ({LAG})", GROUP),
        ),
        lines(
            "Lag in seconds by topic",
            "The topic that is behind.",
            Query(
                f"max by (consumergroup, topic) ({SECONDS}) > 0 or max by (consumergroup) ({SECONDS})",
                GROUP + " {{topic}}",
            ),
            unit=Unit.SECONDS,
        ),
        lines(
            "Time to drain",
            "At the rates of the last two minutes; no line: never.",
            Query(f"{names.DRAIN.name} < +Inf", GROUP),
            unit=Unit.SECONDS,
        ),
    )


def _movement() -> tuple[Panel, ...]:
    """Who reads, writes, stands."""
    return (
        lines(
            "Read",
            "Offsets.",
            Query(f"sum by (consumergroup) ({names.READ_RATE.name})", GROUP),
            unit=Unit.PER_SECOND,
        ),
        lines(
            "Written",
            "Offsets.",
            Query(f"sum by (consumergroup) ({names.WRITTEN_RATE.name})", GROUP),
            unit=Unit.PER_SECOND,
        ),
        lines(
            "Standing",
            "How long a position with unread records has not moved; a minute is a stall.",
            Query(f"max by (consumergroup) ({names.STANDING.name})", GROUP),
            unit=Unit.SECONDS,
            alarm=60,
        ),
        lines("Members", "Processes in each group.", Query(names.MEMBERS.name, GROUP)),
    )


def _details() -> tuple[Panel, ...]:
    """What should not be, and each partition."""
    return (
        lines(
            "Rewinds and losses",
            "Positions that went back; offsets that the log dropped unread.",
            Query(f"sum by (consumergroup) (increase({names.REWINDS.name}{RATE}))", "rewinds " + GROUP),
            Query(f"sum by (consumergroup) ({names.LOST.name})", "lost " + GROUP),
            alarm=1,
        ),
        lines(
            "Hidden behind open transactions",
            "Offsets that no reader sees yet.",
            Query(f"sum by (topic) ({names.HIDDEN.name})", "{{topic}}"),
        ),
        Panel(
            "Partitions",
            "Each group at each partition.",
            (Query(f"sort_desc({LAG})"),),
            shape=Shape.TABLE,
            width=24,
        ),
    )
