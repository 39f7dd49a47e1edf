"""`tierflow worker TIER`: runs the jobs of one tier."""

import click

from agents.handlers import registry
from ops import compose, probe, role
from schemas.tiers import Tier
from streams.settings import load


@click.command("worker")
@click.argument("tier", type=click.Choice(["1", "2", "3"]))
def command(tier: str) -> None:
    """Run the jobs of one tier."""
    settings = load()
    handlers = registry.load(settings.handlers.packages)
    metrics = probe.registry()
    role.run(lambda: compose.worker(Tier(int(tier)), handlers, settings, metrics), settings.process, metrics)
