"""System health: processes, HTTP, transactions, sink."""

from ops.dashboards.panel import Board, Panel, Query, Unit, lines, number
from ops.dashboards.queries import RATE, quantile, rate
from streams import metric_names as names

HTTP = names.HTTP_REQUESTS
ROLE = "{{role}} {{instance}}"


def board() -> Board:
    """The dashboard."""
    return Board("system-health", "System health", (*_now(), *_processes(), *_engine(), *_sink(), *_bounds()))


def _now() -> tuple[Panel, ...]:
    """The whole at a glance."""
    return (
        number("Roles up", "That Prometheus reaches.", 'sum(up{job="tierflow"})'),
        number(
            "Services away",
            "Of Kafka, PostgreSQL, Valkey.",
            f"count({names.SERVICE_UP.name} == 0) or vector(0)",
            alarm=1,
        ),
        number("Requests", "Over HTTP.", f"sum(rate({HTTP.name}_count{RATE}))", Unit.PER_SECOND),
        number(
            "Server errors",
            "Answers from 500 on.",
            f'sum(rate({HTTP.name}_count{{status=~"5.."}}{RATE})) or vector(0)',
            Unit.PER_SECOND,
            alarm=0.01,
        ),
    )


def _processes() -> tuple[Panel, ...]:
    """What they use, and how they answer."""
    return (
        lines("CPU", "Cores.", Query(f"rate(process_cpu_seconds_total{RATE})", ROLE)),
        lines("Memory", "Resident.", Query("process_resident_memory_bytes", ROLE), unit=Unit.BYTES),
        lines(
            "Requests by route",
            "",
            Query(rate(HTTP, "route,method", "", "_count"), "{{method}} {{route}}"),
            unit=Unit.PER_SECOND,
        ),
        lines(
            "Answer time, p99",
            "By route.",
            Query(quantile(0.99, HTTP, "route"), "{{route}}"),
            unit=Unit.SECONDS,
        ),
    )


def _engine() -> tuple[Panel, ...]:
    """Transactions and partitions."""
    return (
        lines(
            "Transactions",
            "Committed, by role.",
            Query(f"rate({names.TRANSACTIONS.name}{RATE})", ROLE),
            unit=Unit.PER_SECOND,
        ),
        lines(
            "Commit time, p99",
            "",
            Query(quantile(0.99, names.COMMIT, "role"), "{{role}}"),
            unit=Unit.SECONDS,
        ),
        lines(
            "Aborts, fatals, recoveries",
            "",
            Query(f"sum(rate({names.ABORTS.name}{RATE}))", "aborts"),
            Query(f"sum(rate({names.FATALS.name}{RATE}))", "fatals"),
            Query(f"sum(rate({names.RECOVERIES.name}{RATE}))", "recoveries"),
            unit=Unit.PER_SECOND,
        ),
        lines("Partitions open", "In each process.", Query(names.OPEN_PARTITIONS.name, ROLE)),
        lines(
            "Window used",
            "The fullest window of open offsets; at 1 reading pauses.",
            Query(names.WINDOW_USED.name, ROLE),
            unit=Unit.SHARE,
            warn=0.5,
            alarm=0.9,
        ),
    )


def _sink() -> tuple[Panel, ...]:
    """Rows on their way to PostgreSQL and Valkey."""
    return (
        lines(
            "Sink: rows",
            "Written, by target.",
            Query(f"sum by (target) (rate({names.SINK_ROWS.name}_sum{RATE}))", "{{target}}"),
            unit=Unit.PER_SECOND,
        ),
        lines(
            "Sink: time of a batch, p99",
            "",
            Query(quantile(0.99, names.SINK_COMMIT, "target"), "{{target}}"),
            unit=Unit.SECONDS,
        ),
        lines(
            "Sink: target away",
            "1 while it is.",
            Query(names.SINK_AWAY.name, "{{target}}"),
            unit=Unit.STATE,
            alarm=1,
        ),
    )


def _bounds() -> tuple[Panel, ...]:
    """What is bounded, and the look itself."""
    return (
        lines(
            "Bounds reached",
            "Of memory or slots; what is over them waits.",
            Query(rate(names.CAP_REACHED, "cap"), "{{cap}}"),
            unit=Unit.PER_SECOND,
            quiet=True,
        ),
        lines(
            "The monitor's look",
            "How long one round takes.",
            Query(names.MONITOR_READING.name, ""),
            unit=Unit.SECONDS,
        ),
    )
