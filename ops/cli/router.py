"""`tierflow router`: what producers send goes to its tier."""

import click

from agents.handlers import registry
from ops import compose, probe, role
from streams.settings import load


@click.command("router")
def command() -> None:
    """Route events and job requests into the lanes of their tiers."""
    settings = load()
    registry.declare(settings.handlers.packages)
    metrics = probe.registry()
    role.run(lambda: compose.router(settings, metrics), settings.process, metrics)
