"""`tierflow retention`: makes the months that are coming, drops those that were kept for long enough."""

import json
from datetime import UTC, datetime

import click

from agents.handlers import registry
from connectors.postgres.retention import retain
from streams.settings import load


@click.command("retention")
@click.option("--dry-run", is_flag=True, help="Only say what would be made and dropped.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
def command(dry_run: bool, as_json: bool) -> None:
    """Keep the tables of Postgres to their times: 90 days, NFT jobs 365. The sink does this each hour.

    Exit status 1 when a month could not be dropped because it is in use.
    """
    settings = load()
    registry.declare(settings.handlers.packages)
    kept = retain(settings.postgres.url.get_secret_value(), datetime.now(UTC), execute=not dry_run)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "made": kept.made,
                    "dropped": kept.dropped,
                    "deleted": kept.deleted,
                    "late": kept.late,
                    "busy": kept.busy,
                }
            )
        )
    else:
        for sign, names in (("+", kept.made), ("-", kept.dropped), ("!", kept.late)):
            for name in names:
                click.echo(f"{sign} {name}")
        if not (kept.made or kept.dropped or kept.late):
            click.echo("another process is at it" if kept.busy else "nothing to do", err=True)
    raise SystemExit(1 if kept.late else 0)
