"""SLO: tier 1, latency against its goal, and nothing lost."""

from ops.dashboards.panel import Board, Panel, Query, Unit, lines, number
from ops.dashboards.queries import RATE, quantile
from streams import metric_names as names

ENDED_STATES = "completed|dead|cancelled|duplicate"
TIER_1 = 'queue_name="money"'
GOAL_S = 0.1
"""spec: from submit to the handler's start, p99."""
GOAL = 0.99
_FAST = f'{names.WAIT.name}_bucket{{{TIER_1},le="{GOAL_S}"}}'
WITHIN = f"sum(rate({_FAST}$range)) / (sum(rate({names.WAIT.name}_count{{{TIER_1}}}$range)) > 0)"
"""The share of tier-1 jobs that started in time, with a range to be filled in."""
BURNED = f"(1 - ({WITHIN.replace('$range', '[1h]')})) / {1 - GOAL:.2g}"
LOST = " + ".join(
    f"(sum({name}) or vector(0))" for name in (names.LOST.name, names.LOST_OFFSETS.name, names.SINK_LOST.name)
)


def board() -> Board:
    """The dashboard."""
    return Board("slo", "SLO", (*_budgets(), *_latency(), *_open(), *_ledger()))


def _budgets() -> tuple[Panel, ...]:
    """What is left of them."""
    return (
        number(
            "Started in time",
            f"Tier-1 jobs whose handler started within {GOAL_S} s, in the last hour.",
            WITHIN.replace("$range", "[1h]"),
            Unit.SHARE,
        ),
        number(
            "Latency budget burned",
            "1 burns the whole budget evenly; above it the goal is missed.",
            BURNED,
            warn=1,
            alarm=6,
        ),
        number("Offsets lost", "The loss budget is zero.", LOST, alarm=1),
        number(
            "Defects",
            "Refused transitions, offsets that went back, steps that failed.",
            " + ".join(
                f"(sum({metric.name}) or vector(0))"
                for metric in (names.ILLEGAL, names.WENT_BACK, names.FAILED_STEPS)
            ),
            alarm=1,
        ),
    )


def _latency() -> tuple[Panel, ...]:
    """How soon jobs start."""
    return (
        lines(
            "Tier-1 wait",
            "From acceptance to the handler's start.",
            *(
                Query(quantile(share, names.WAIT, "", TIER_1), f"p{share * 100:g}")
                for share in (0.5, 0.95, 0.99)
            ),
            unit=Unit.SECONDS,
            alarm=GOAL_S,
        ),
        lines(
            "Started in time, over time",
            "Share of each moment's jobs.",
            Query(WITHIN.replace("$range", RATE), "share"),
            unit=Unit.SHARE,
        ),
    )


def _open() -> tuple[Panel, ...]:
    """What is not at its end."""
    return (
        lines(
            "Tier-1 open jobs",
            "Accepted and not at their end.",
            Query(
                f'sum by (status) ({names.QUEUE_DEPTH.name}{{{TIER_1},status!~"{ENDED_STATES}"}})',
                "{{status}}",
            ),
        ),
        lines(
            "Tier-1 rows behind",
            "Age of the oldest record that has no row yet.",
            Query(
                f'max by (topic) ({names.LAG_SECONDS.name}{{consumergroup=~".*sink-postgres"}})',
                "{{topic}}",
            ),
            unit=Unit.SECONDS,
            alarm=60,
        ),
    )


def _ledger() -> tuple[Panel, ...]:
    """Whether what came in is accounted for."""
    return (
        lines(
            "Ledger: tier-1 jobs",
            "What came in is what ended, waits or is under way; missing is none.",
            Query(f'sum by (fate) ({names.LEDGER_JOBS.name}{{tier="1"}})', "{{fate}}"),
        ),
        lines(
            "Ledger: findings",
            "Records missing, extra or differing: tierflow audit names each.",
            Query(f"sum by (kind) ({names.LEDGER_FINDINGS.name})", "{{kind}}"),
            alarm=1,
        ),
    )
