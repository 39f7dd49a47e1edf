"""`tierflow migrate`: brings the tables of Postgres to this release."""

import json

import click

from connectors.postgres.migrate import migrate
from streams.settings import load


@click.command()
@click.option(
    "--to", type=click.IntRange(0), help="Stop at this migration, up or down (0: no tables at all)."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
def command(to: int | None, as_json: bool) -> None:
    """Create or change the tables in DATABASE_URL. Repeatable; several at once wait for each other."""
    done = migrate(load().postgres.url.get_secret_value(), to)
    if as_json:
        click.echo(json.dumps({"applied": done}))
        return
    for name in done:
        click.echo(name)
    if not done:
        click.echo("nothing to do", err=True)
