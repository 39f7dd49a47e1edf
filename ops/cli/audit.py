"""`tierflow audit`: whether everything that came in is accounted for, in the topics and in PostgreSQL."""

import re
import time
from datetime import UTC, datetime

import click
import msgspec
from rich.console import Console
from rich.table import Table

from connectors.audit.audit import Report, audit
from connectors.audit.ledger import MOST
from connectors.gateway.job_answer import iso
from connectors.kafka.registry import codec
from ops.stack.running import settings_of_running

FOUND = 1
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COLUMNS = ("came", "completed", "retry", "dead", "duplicate", "cancelled", "pending", "repeated", "missing")


@click.command("audit")
@click.option("--since", help="Only what was accepted since: ISO 8601, or 15m, 8h, 30d ago.")
@click.option("--topics-only", is_flag=True, help="Leave PostgreSQL out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
def command(since: str | None, topics_only: bool, as_json: bool) -> None:
    """Reconcile the topics against each other, and tier 1 and the dead letters against PostgreSQL.

    Works while the system runs: what is on its way is pending. Exit status 0: in = done + retry + dead +
    duplicate + cancelled + pending, and every row is what its records say. 1: something is missing, extra or
    differing; each is named, with its job and where it stands.
    """
    settings = settings_of_running()
    database_url = None if topics_only else settings.postgres.url.get_secret_value()
    report = audit(settings.kafka, codec(settings.kafka), database_url, _moment(since))
    if as_json:
        said = {**msgspec.to_builtins(report), "clean": report.clean}
        click.echo(msgspec.json.format(msgspec.json.encode(said), indent=2).decode())
    else:
        _show(report)
    if not report.clean:
        raise SystemExit(FOUND)


def _show(report: Report) -> None:
    console, ingress = Console(highlight=False), report.balance.ingress
    table = Table("tier", box=None, padding=(0, 1, 0, 0))
    for name in _COLUMNS:
        table.add_column({"came": "in", "completed": "done"}.get(name, name), justify="right", no_wrap=True)
    for tier, balance in report.balance.tiers.items():
        table.add_row(str(tier), *(f"{getattr(balance, name):,}" for name in _COLUMNS))
    console.print(table)
    console.print(
        f"came in: {ingress.came:,} records, {ingress.refused:,} refused, {ingress.commands:,} commands, "
        f"{ingress.pending:,} pending, {ingress.missing:,} missing"
    )
    since = f" accepted since {iso(report.since)}" if report.since else ""
    console.print(
        f"{report.records:,} records{since} and {report.rows:,} rows in {report.seconds:.1f} s; "
        f"{report.balance.buckets:,} buckets, {report.balance.judged:,} jobs judged one by one"
    )
    for finding in report.findings:
        console.print(str(finding), markup=False, soft_wrap=True)
    console.print("nothing is missing, extra or differing" if report.clean else _verdict(report))


def _verdict(report: Report) -> str:
    unbalanced = [tier for tier, balance in report.balance.tiers.items() if not balance.holds]
    more = f"; in is not out in tier {', '.join(map(str, unbalanced))}" if unbalanced else ""
    unlisted = ", not all of them listed" if len(report.findings) >= MOST else ""
    return f"{len(report.findings)} findings{unlisted}{more}"


def _moment(text: str | None) -> int:
    """Milliseconds since the epoch; 0 without one."""
    if text is None:
        return 0
    if match := re.fullmatch(r"([0-9]+)([smhd])", text):
        return time.time_ns() // 1_000_000 - int(match[1]) * _UNITS[match[2]] * 1000
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("use ISO 8601, or 90s, 15m, 8h, 30d ago", param_hint="--since") from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
